package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Answer is what a receiver's server answered by HTTP.
type Answer struct {
	Status int
	After  time.Duration // Retry-After, from 5 seconds to an hour
	Body   []byte        // at most 64 KB: it may be hostile, and hold what it was sent
}

// errUnreached says no more: the error of the client has the URL, which may hold a secret.
var errUnreached = errors.New("could not be reached")

// Request sends body as JSON (nil: none) by a client of package outbound, and reads the answer. Its error names no URL.
func Request(ctx context.Context, client *http.Client, method, url string, header http.Header, body any) (Answer, error) {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return Answer{}, err
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, sent)
	if err != nil {
		return Answer{}, errors.New("its URL is none")
	}
	if header != nil {
		req.Header = header.Clone()
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, errUnreached
	}
	return AnswerOf(resp), nil
}

// AnswerOf reads an answer, and closes its body.
func AnswerOf(resp *http.Response) Answer {
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return Answer{resp.StatusCode, time.Duration(min(max(after, 5), 3600)) * time.Second, text}
}

// Err is what the status means for a receiver of that name: nil for 2xx; 429 is a *RetryError; 400, 413 and 422 are a *RefusedError
// about this message only; from 500 on it may have been taken. Any other is a *RefusedError that needs a person, who does fix. It has
// nothing of the body.
func (a Answer) Err(name, fix string) error {
	if a.Status/100 == 2 {
		return nil
	}
	err := fmt.Errorf("%s: it answers HTTP %d", name, a.Status)
	switch {
	case a.Status == http.StatusTooManyRequests:
		return &RetryError{After: a.After, Err: err}
	case a.Status == http.StatusBadRequest, a.Status == http.StatusRequestEntityTooLarge, a.Status == http.StatusUnprocessableEntity:
		return &RefusedError{Err: err, OnlyThis: true}
	case a.Status >= http.StatusInternalServerError:
		return err
	}
	return &RefusedError{Err: err, NeedsPerson: true, Fix: fix}
}
