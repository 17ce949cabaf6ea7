package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// Archive is Post for a tar archive, which write writes while it is sent, and again where the daemon says to ask later. write's own
// error is returned as it is.
func (c *Client) Archive(ctx context.Context, path string, write func(io.Writer) error, out any) error {
	for tries := 0; ; tries++ {
		answer, err := c.sendArchive(ctx, path, write)
		if err != nil {
			return err
		}
		if answer.StatusCode == http.StatusOK {
			if json.NewDecoder(answer.Body).Decode(out) != nil {
				return &AnswerError{
					c.name, "it does not answer as keyrounds does", "is it the address of keyrounds, and of no proxy's sign-in page?",
				}
			}
			return nil
		}
		wait := soon(answer)
		err = c.problem(answer)
		if wait == 0 || tries == mostWaits {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (c *Client) sendArchive(ctx context.Context, path string, write func(io.Writer) error) (*http.Response, error) {
	in, out := io.Pipe()
	var wrote error
	done := make(chan struct{})
	go func() {
		defer close(done)
		wrote = write(out)
		_ = out.CloseWithError(wrote)
	}()
	defer func() { // an answer that comes before the end is the last word
		_ = in.Close()
		<-done
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/api/v1"+path, in)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", c.agent)
	r.Header.Set("Content-Type", "application/x-tar")
	if !c.token.IsZero() {
		r.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	answer, err := c.stream.Do(r)
	if err == nil { // it is read before the body is given up, which may end the connection
		var text []byte
		text, err = io.ReadAll(io.LimitReader(answer.Body, maxBody))
		_ = answer.Body.Close()
		answer.Body = io.NopCloser(bytes.NewReader(text))
	}
	if err == nil {
		return answer, nil
	}
	_ = in.Close()
	<-done
	if wrote != nil && !errors.Is(wrote, io.ErrClosedPipe) {
		return nil, wrote
	}
	return nil, unreached(ctx, c.name, err)
}
