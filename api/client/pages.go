package client

import (
	"context"
	"net/url"
	"strconv"
)

// onePage is how much is asked for at once.
const onePage = 1000

// List reads a list, most things of it (0: all), page by page, and says how many there are.
func List[T any](ctx context.Context, c *Client, path string, query url.Values, most int) (all []T, total int, err error) {
	all = []T{}
	q := url.Values{}
	for name, values := range query {
		q[name] = values
	}
	for {
		limit := onePage
		if most > 0 {
			limit = min(limit, most-len(all))
		}
		q.Set("limit", strconv.Itoa(limit))
		var page struct {
			Items []T    `json:"items"`
			Total int    `json:"total"`
			Next  string `json:"next"`
		}
		if err := c.Get(ctx, path, q, &page); err != nil {
			return nil, 0, err
		}
		all, total = append(all, page.Items...), page.Total
		if page.Next == "" || most > 0 && len(all) >= most {
			return all, total, nil
		}
		q.Set("cursor", page.Next)
	}
}
