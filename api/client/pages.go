package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// onePage is how much is asked for at once.
const onePage = 1000

// List reads a list, most things of it (0: all), page by page, and says how many there are.
func List[T any](ctx context.Context, c *Client, path string, query url.Values, most int) (all []T, total int, err error) {
	all = []T{}
	total, err = Each(ctx, c, path, query, most, func(items []T) { all = append(all, items...) })
	if err != nil {
		return nil, 0, err
	}
	return all, total, nil
}

// Each is List for what is long: it calls each with every page.
func Each[T any](ctx context.Context, c *Client, path string, query url.Values, most int, each func([]T)) (total int, err error) {
	q, n := url.Values{}, 0
	for name, values := range query {
		q[name] = values
	}
	for {
		limit := onePage
		if most > 0 {
			limit = min(limit, most-n)
		}
		q.Set("limit", strconv.Itoa(limit))
		var page struct {
			Items []T    `json:"items"`
			Total int    `json:"total"`
			Next  string `json:"next"`
		}
		if err := c.Get(ctx, path, q, &page); err != nil {
			return 0, err
		}
		each(page.Items)
		if n += len(page.Items); page.Next == "" || most > 0 && n >= most {
			return page.Total, nil
		}
		q.Set("cursor", page.Next)
	}
}

// Lines is Post for an answer of JSON Lines: it calls each with every line as it comes, however long that lasts.
func Lines[T any](ctx context.Context, c *Client, path string, in any, each func(T)) error {
	endless := *c
	endless.http = c.stream
	answer, err := endless.send(ctx, http.MethodPost, path, nil, in, "")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	lines := json.NewDecoder(answer.Body)
	for {
		var line T
		err := lines.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return &AnswerError{c.name, "its answer broke off", "does the daemon still run?"}
		}
		each(line)
	}
}
