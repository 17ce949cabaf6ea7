package feed

import (
	"context"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/keyrounds/keyrounds/bounded"
)

// Half of what an import cost was gojq, an interpreter that runs a format's jq for each record. Nearly all of that jq picks
// members, compares, and builds one object. nativeOf compiles these forms to Go closures, about ten times as quick, from what
// gojq parsed. Rules by which the two cannot be told apart:
//
//  1. A native expression has one value or none, as empty has.
//  2. What is not understood, and what is rare (a number where a text is expected), gojq runs in its place, as long as it has
//     one value at most: an array, a call in oneValue.
//  3. A program with anything else in it is gojq's as a whole.
//
// Errors are equal in that they are errors: their words are never shown.

// expression is a jq expression: the value that it has for an input. is false: it has none.
type expression func(f *frame, in any) (v any, is bool, err error)

// frame is one run of a program. Its objects are the memory of the next run.
type frame struct {
	ctx     context.Context
	program bounded.JQ // that it is a run of
	calls   int        // of functions, so far
	made    int        // bytes of sums, so far
	end     time.Time  // of the time that a run may take; zero: nothing took long yet
	vars    [maxVariables]any
	objects []map[string]any
	used    int // of objects
}

// object is an empty one.
func (f *frame) object() map[string]any {
	if f.used == len(f.objects) {
		f.objects = append(f.objects, map[string]any{})
	}
	f.used++
	return f.objects[f.used-1]
}

func (f *frame) begin(ctx context.Context, program bounded.JQ) {
	f.ctx, f.program, f.calls, f.made, f.end = ctx, program, 0, 0, time.Time{}
}

// next forgets what was made of one part of a record.
func (f *frame) next() {
	ctx, program, calls, made, end := f.ctx, f.program, f.calls, f.made, f.end
	f.reset()
	f.ctx, f.program, f.calls, f.made, f.end = ctx, program, calls, made, end
}

const callsBetween = 1024 // looks at the clock

// called counts a call of a function: a few functions that call each other twice can take years. The error is the end of
// the context, or of the time that a run may take.
func (f *frame) called() error {
	if f.calls++; f.calls%callsBetween == 0 && f.overtime() {
		return f.program.TooLong()
	}
	return f.ctx.Err()
}

// overtime reports whether the time of the run is over. It begins when it is asked first.
func (f *frame) overtime() bool {
	now := time.Now()
	if f.end.IsZero() {
		f.end = now.Add(bounded.MaxTime)
	}
	return now.After(f.end)
}

// reset forgets a run, and the memory of one that made many objects.
func (f *frame) reset() {
	if f.used > maxObjectsKept {
		f.objects, f.used = nil, 0
	}
	for _, m := range f.objects[:f.used] {
		clear(m)
	}
	f.ctx, f.program, f.vars, f.used = nil, bounded.JQ{}, [maxVariables]any{}, 0
}

const maxObjectsKept = 8

// A program with more variables than these is gojq's.
const maxVariables = 8

// nativeOf is the program of a query, which gojq could compile; nil: it is not understood. list is that of a program that
// begins with list[] |, such as that of a file of CloudTrail: rest is for each of them. nil: rest is for the record.
func nativeOf(q *gojq.Query, ours bool) (list, rest expression) {
	n := native{ours: ours, calls: map[*gojq.FuncDef]expression{}}
	if of := listOf(q); of != nil {
		list, ok1 := n.term(of, nil)
		rest, ok2 := n.query(q.Right, nil)
		if ok1 && ok2 {
			return list, rest
		}
		return nil, nil
	}
	if e, ok := n.query(q, nil); ok {
		return nil, e
	}
	return nil, nil
}

// listOf is the list of a query that begins with list[] |; nil: it does not.
func listOf(q *gojq.Query) *gojq.Term {
	if q.Op != gojq.OpPipe || len(q.Patterns)+len(q.FuncDefs)+len(q.Imports) > 0 || q.Left.Term == nil || len(q.Left.FuncDefs) > 0 {
		return nil
	}
	list := *q.Left.Term
	last := len(list.SuffixList) - 1
	if last < 0 || !list.SuffixList[last].Iter {
		return nil
	}
	list.SuffixList = list.SuffixList[:last]
	return &list
}

type native struct {
	ours      bool // the program is part of keyrounds
	variables int
	calls     map[*gojq.FuncDef]expression // by function of the program; nil: being compiled, or not understood
}

// scope is a name that is known in an expression, and those around it.
type scope struct {
	outer    *scope
	variable string // "": it is a function
	slot     int    // of the variable, in the frame
	function *gojq.FuncDef
}

// find is the function or the variable of that name, nil where the program has none.
func (s *scope) find(name string, args int) *scope {
	for ; s != nil; s = s.outer {
		if s.variable == name || s.function != nil && s.function.Name == name && len(s.function.Args) == args {
			return s
		}
	}
	return nil
}

func (n *native) query(q *gojq.Query, s *scope) (expression, bool) {
	if len(q.Imports) > 0 {
		return nil, false
	}
	for _, def := range q.FuncDefs {
		s = &scope{outer: s, function: def}
	}
	if q.Term != nil {
		return n.term(q.Term, s)
	}
	if q.Op == gojq.OpPipe && len(q.Patterns) > 0 {
		return n.bind(q, s)
	}
	left, ok := n.query(q.Left, s)
	if !ok {
		return nil, false
	}
	right, ok := n.query(q.Right, s)
	if !ok {
		return nil, false
	}
	switch q.Op {
	case gojq.OpPipe:
		return pipe(left, right), true
	case gojq.OpAlt:
		return alternative(left, right), true
	case gojq.OpAnd:
		return condition(left, condition(right, constant(true), constant(false)), constant(false)), true
	case gojq.OpOr:
		return condition(left, constant(true), condition(right, constant(true), constant(false))), true
	case gojq.OpAdd:
		return n.sum(q, s, left, right)
	}
	if holds := comparisons[q.Op]; holds != nil {
		return comparison(left, right, holds), true
	}
	return nil, false
}

// bind is left as $x | right.
func (n *native) bind(q *gojq.Query, s *scope) (expression, bool) {
	name := q.Patterns[0].Name
	if len(q.Patterns) > 1 || name == "" || strings.HasPrefix(name, slotPrefix) || n.variables >= maxVariables {
		return nil, false
	}
	left, ok := n.query(q.Left, s)
	if !ok {
		return nil, false
	}
	slot := n.variables
	n.variables++
	right, ok := n.query(q.Right, &scope{outer: s, variable: name, slot: slot})
	return func(f *frame, in any) (any, bool, error) {
		v, is, err := left(f, in)
		if err != nil || !is {
			return nil, false, err
		}
		f.vars[slot] = v
		return right(f, in)
	}, ok
}

func (n *native) term(t *gojq.Term, s *scope) (expression, bool) {
	if len(t.SuffixList) > 0 {
		return n.suffix(t, s)
	}
	switch t.Type {
	case gojq.TermTypeIdentity:
		return identity, true
	case gojq.TermTypeNull:
		return constant(nil), true
	case gojq.TermTypeTrue:
		return constant(true), true
	case gojq.TermTypeFalse:
		return constant(false), true
	case gojq.TermTypeNumber, gojq.TermTypeString:
		v, ok := literal(t)
		return constant(v), ok
	case gojq.TermTypeIndex:
		return n.index(identity, t, t.Index, s)
	case gojq.TermTypeFunc:
		return n.call(t, s)
	case gojq.TermTypeObject:
		return n.object(t.Object, s)
	case gojq.TermTypeArray:
		return n.array(t, s)
	case gojq.TermTypeIf:
		return n.conditional(t.If.Cond, t.If.Then, t.If.Elif, t.If.Else, s)
	case gojq.TermTypeTry:
		body, ok := n.query(t.Try.Body, s)
		return try(body), ok && t.Try.Catch == nil
	case gojq.TermTypeQuery:
		return n.query(t.Query, s)
	}
	return nil, false
}

// suffix is a term with .name, [key] or ? behind it. A ? is of what stands right before it: .a.b? fails where .a does.
func (n *native) suffix(t *gojq.Term, s *scope) (expression, bool) {
	base, last := *t, t.SuffixList[len(t.SuffixList)-1]
	base.SuffixList = t.SuffixList[:len(t.SuffixList)-1]
	if last.Index != nil {
		of, ok := n.term(&base, s)
		if !ok {
			return nil, false
		}
		return n.index(of, t, last.Index, s)
	}
	if !last.Optional {
		return nil, false
	}
	if i := len(base.SuffixList) - 1; i >= 0 && base.SuffixList[i].Index != nil {
		x := base.SuffixList[i].Index
		index, ok := n.index(identity, &gojq.Term{Type: gojq.TermTypeIndex, Index: x}, x, s)
		base.SuffixList = base.SuffixList[:i]
		of, known := n.term(&base, s)
		return pipe(of, try(index)), ok && known
	}
	body, ok := n.term(&base, s)
	return try(body), ok
}

// index is what whole stands for: the member or the element x of another expression.
func (n *native) index(of expression, whole *gojq.Term, x *gojq.Index, s *scope) (expression, bool) {
	key := &gojq.Term{Type: gojq.TermTypeString, Str: x.Str}
	switch {
	case x.Name != "":
		return member(of, x.Name), true
	case x.IsSlice, x.Str != nil && x.Str.Queries != nil:
		return nil, false
	case x.Str == nil:
		if _, ok := n.query(x.Start, s); !ok {
			return nil, false
		}
		key = x.Start.Term
	}
	k, ok := literal(key)
	if name, is := k.(string); ok && is {
		return member(of, name), true
	}
	at, is := k.(int)
	if !ok || !is {
		return n.part(queryOf(whole), s)
	}
	return n.quick(queryOf(whole), s, func(f *frame, in any) (any, bool) {
		v, _, err := of(f, in)
		list, is := v.([]any)
		switch {
		case err != nil || !is || at < 0:
			return nil, false
		case at >= len(list):
			return nil, true
		}
		return list[at], true
	})
}

func (n *native) conditional(when, then *gojq.Query, more []*gojq.IfElif, last *gojq.Query, s *scope) (expression, bool) {
	test, ok1 := n.query(when, s)
	yes, ok2 := n.query(then, s)
	no, ok3 := expression(identity), true
	switch {
	case len(more) > 0:
		no, ok3 = n.conditional(more[0].Cond, more[0].Then, more[1:], last, s)
	case last != nil:
		no, ok3 = n.query(last, s)
	}
	return condition(test, yes, no), ok1 && ok2 && ok3
}

func (n *native) object(o *gojq.Object, s *scope) (expression, bool) {
	names, values := make([]string, len(o.KeyVals)), make([]expression, len(o.KeyVals))
	for i, kv := range o.KeyVals {
		switch {
		case kv.Key != "" && kv.Key[0] != '$':
			names[i] = kv.Key
		case kv.KeyString != nil && kv.KeyString.Queries == nil:
			names[i] = kv.KeyString.Str
		default:
			return nil, false
		}
		values[i] = member(identity, names[i])
		if kv.Val != nil {
			var ok bool
			if values[i], ok = n.query(kv.Val, s); !ok {
				return nil, false
			}
		}
	}
	return func(f *frame, in any) (any, bool, error) {
		m := f.object()
		for i, name := range names {
			v, is, err := values[i](f, in)
			if err != nil || !is {
				return nil, false, err
			}
			m[name] = v
		}
		return m, true, nil
	}, true
}

// array is native where its elements are, and gojq's else: it is one value, whatever is in it.
func (n *native) array(t *gojq.Term, s *scope) (expression, bool) {
	var elements []expression
	for q := t.Array.Query; q != nil; {
		rest := (*gojq.Query)(nil)
		last := q
		if q.Op == gojq.OpComma && len(q.FuncDefs) == 0 {
			rest, last = q.Left, q.Right
		}
		e, ok := n.query(last, s)
		switch {
		case !ok && isOfObjects(t.Array.Query) && s.find("paths", 1) == nil && s.find("objects", 0) == nil:
			return n.quick(queryOf(t), s, func(_ *frame, in any) (any, bool) { return []any{}, isFlat(in) })
		case !ok:
			return n.part(queryOf(t), s)
		}
		elements = append([]expression{e}, elements...)
		q = rest
	}
	return func(f *frame, in any) (any, bool, error) {
		list := make([]any, 0, len(elements))
		for _, e := range elements {
			v, is, err := e(f, in)
			if err != nil {
				return nil, false, err
			}
			if is {
				list = append(list, v)
			}
		}
		return list, true, nil
	}, true
}
