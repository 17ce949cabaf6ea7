package feed

import (
	"errors"
	"strings"

	"github.com/itchyny/gojq"

	"github.com/keyrounds/keyrounds/bounded"
)

// The forms of jq that native expressions are made of.

func identity(_ *frame, in any) (any, bool, error) { return in, true, nil }

func empty(*frame, any) (any, bool, error) { return nil, false, nil }

func constant(v any) expression {
	return func(*frame, any) (any, bool, error) { return v, true, nil }
}

// truthy: all but null and false are.
func truthy(v any) bool { return v != nil && v != false }

func pipe(left, right expression) expression {
	return func(f *frame, in any) (any, bool, error) {
		v, is, err := left(f, in)
		if err != nil || !is {
			return nil, false, err
		}
		return right(f, v)
	}
}

// alternative is left // right. An error of left is not caught.
func alternative(left, right expression) expression {
	return func(f *frame, in any) (any, bool, error) {
		if v, is, err := left(f, in); err != nil || is && truthy(v) {
			return v, is, err
		}
		return right(f, in)
	}
}

func condition(test, yes, no expression) expression {
	return func(f *frame, in any) (any, bool, error) {
		v, is, err := test(f, in)
		switch {
		case err != nil || !is:
			return nil, false, err
		case truthy(v):
			return yes(f, in)
		}
		return no(f, in)
	}
}

// try has no value where its body fails. halt and the end of the context are no failures.
func try(body expression) expression {
	return func(f *frame, in any) (any, bool, error) {
		v, is, err := body(f, in)
		if err != nil && f.ctx.Err() == nil && !bounded.Ends(err) {
			return nil, false, nil
		}
		return v, is, err
	}
}

var errNoMember = errors.New("it is no object")

func member(of expression, name string) expression {
	return func(f *frame, in any) (any, bool, error) {
		v, is, err := of(f, in)
		if err != nil || !is {
			return nil, false, err
		}
		switch m := v.(type) {
		case map[string]any:
			return m[name], true, nil
		case nil:
			return nil, true, nil
		}
		return nil, false, errNoMember
	}
}

var comparisons = map[gojq.Operator]func(order int) bool{
	gojq.OpEq: func(order int) bool { return order == 0 },
	gojq.OpNe: func(order int) bool { return order != 0 },
	gojq.OpLt: func(order int) bool { return order < 0 },
	gojq.OpLe: func(order int) bool { return order <= 0 },
	gojq.OpGt: func(order int) bool { return order > 0 },
	gojq.OpGe: func(order int) bool { return order >= 0 },
}

// comparison asks for the value on the right first, as jq does: which of two errors, or of an error and nothing, comes first
// is seen.
func comparison(left, right expression, holds func(order int) bool) expression {
	return func(f *frame, in any) (any, bool, error) {
		r, is, err := right(f, in)
		if err != nil || !is {
			return nil, false, err
		}
		l, is, err := left(f, in)
		if err != nil || !is {
			return nil, false, err
		}
		return holds(compare(l, r)), true, nil
	}
}

// compare is gojq.Compare, which takes longer for texts.
func compare(l, r any) int {
	a, is1 := l.(string)
	b, is2 := r.(string)
	if is1 && is2 {
		return strings.Compare(a, b)
	}
	return gojq.Compare(l, r)
}

// The bounds of sums that are made here: a text may double with each +, and a list says how often one is made.
const (
	maxSum  = 64 << 10 // of one; what is longer is gojq's
	maxSums = 16 << 20 // of all that a run makes
)

// sum is left + right of two texts; all other sums are gojq's.
func (n *native) sum(q *gojq.Query, s *scope, left, right expression) (expression, bool) {
	slow, ok := n.part(q, s)
	return func(f *frame, in any) (any, bool, error) {
		r, _, err1 := right(f, in)
		l, _, err2 := left(f, in)
		a, is1 := l.(string)
		b, is2 := r.(string)
		if !is1 || !is2 || err1 != nil || err2 != nil || len(a)+len(b) > maxSum {
			return slow(f, in)
		}
		if f.made += len(a) + len(b); f.made > maxSums {
			return nil, false, f.program.TooMuch()
		}
		return a + b, true, nil
	}, ok
}
