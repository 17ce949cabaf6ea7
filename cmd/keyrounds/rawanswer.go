package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/keyrounds/keyrounds/checker"
)

// rawAnswer reads an HTTP answer as curl -i prints it: a status line, headers, an empty line, and the body as it was received,
// whatever the headers say of its coding. Of several, such as after 100 Continue or a redirect, the last one.
func rawAnswer(text []byte) (a checker.Response, err error) {
	for bytes.HasPrefix(text, []byte("HTTP/")) {
		r := bufio.NewReader(bytes.NewReader(text))
		headers := textproto.NewReader(r)
		line, err := headers.ReadLine()
		if err != nil {
			return a, errors.New("the status line does not end")
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return a, fmt.Errorf("%q is no status line", line)
		}
		if a.Status, err = strconv.Atoi(fields[1]); err != nil || a.Status < 100 || a.Status > 599 {
			return a, fmt.Errorf("%q is no status line", line)
		}
		of, err := headers.ReadMIMEHeader()
		if err != nil && !errors.Is(err, io.EOF) {
			return a, errors.New("what follows the status line are no headers")
		}
		a.Header = http.Header(of)
		if text, err = io.ReadAll(r); err != nil {
			return a, err
		}
	}
	a.Body = text[:min(len(text), checker.MaxBody)]
	return a, nil
}
