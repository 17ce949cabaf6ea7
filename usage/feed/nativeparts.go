package feed

import (
	"fmt"

	"github.com/itchyny/gojq"

	"github.com/keyrounds/keyrounds/bounded"
)

// What gojq runs within a native program.

// isOfObjects reports whether q is paths(objects) as $p | …, by which formats look for a client within a record.
func isOfObjects(q *gojq.Query) bool {
	return q.Op == gojq.OpPipe && len(q.Patterns) == 1 && len(q.FuncDefs) == 0 && q.Left.String() == "paths(objects)"
}

// isFlat reports whether there are no objects within an object, as in most lines that show no client.
func isFlat(in any) bool {
	m, is := in.(map[string]any)
	for _, v := range m {
		switch v.(type) {
		case map[string]any, []any:
			return false
		}
	}
	return is
}

// quick is do where that knows the value, and what gojq makes of the same expression else. The expression must have one
// value at most.
func (n *native) quick(q *gojq.Query, s *scope, do func(f *frame, in any) (any, bool)) (expression, bool) {
	slow, ok := n.part(q, s)
	return func(f *frame, in any) (any, bool, error) {
		if v, known := do(f, in); known {
			return v, true, nil
		}
		return slow(f, in)
	}, ok
}

// slotPrefix begins the names of variables by which a part gets what its frame holds.
const slotPrefix = "$__slot_"

// part is an expression of one value at most that gojq runs, in a program that is native.
func (n *native) part(q *gojq.Query, s *scope) (expression, bool) {
	var slots []int
	var names []string
	for ; s != nil; s = s.outer { // the names that it may use, the innermost first
		if s.function != nil {
			q = &gojq.Query{FuncDefs: []*gojq.FuncDef{s.function}, Term: &gojq.Term{Type: gojq.TermTypeQuery, Query: q}}
			continue
		}
		name := fmt.Sprint(slotPrefix, s.slot)
		slots, names = append(slots, s.slot), append(names, name)
		q = &gojq.Query{
			Op:       gojq.OpPipe,
			Left:     queryOf(&gojq.Term{Type: gojq.TermTypeFunc, Func: &gojq.Func{Name: name}}),
			Patterns: []*gojq.Pattern{{Name: s.variable}},
			Right:    q,
		}
	}
	code, err := bounded.Compile(q.String(), names...)
	if err != nil {
		return nil, false
	}
	if n.ours {
		code = code.Inside()
	}
	return func(f *frame, in any) (any, bool, error) {
		values := make([]any, len(slots))
		for i, slot := range slots {
			values[i] = f.vars[slot]
		}
		if f.overtime() { // of many parts, none of which takes long
			return nil, false, f.program.TooLong()
		}
		return code.First(f.ctx, in, values...)
	}, true
}

func queryOf(t *gojq.Term) *gojq.Query { return &gojq.Query{Term: t} }

// literal is the value of a number or of a text.
func literal(t *gojq.Term) (any, bool) {
	if t == nil || len(t.SuffixList) > 0 || t.Type != gojq.TermTypeNumber && (t.Type != gojq.TermTypeString || t.Str.Queries != nil) {
		return nil, false
	}
	return queryOf(t).Run(nil).Next()
}
