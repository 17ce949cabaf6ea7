package feed

import (
	"regexp"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
)

// oneValue are functions of jq that have one value at most, with the number of their arguments where those are texts.
var oneValue = map[string]int{
	"ascii_downcase": 0, "capture": 1, "endswith": 1, "error": 1, "first": 0, "fromjson": 0, "last": 0, "length": 0, "split": 1,
	"startswith": 1, "sub": 2, "test": 1, "tonumber": 0, "tostring": 0,
}

// call is a variable, a function of the program, or one of jq's own.
func (n *native) call(t *gojq.Term, s *scope) (expression, bool) {
	name, args := t.Func.Name, t.Func.Args
	switch known := s.find(name, len(args)); {
	case known != nil && known.function != nil:
		return n.function(known)
	case known != nil:
		slot := known.slot
		return func(f *frame, _ any) (any, bool, error) { return f.vars[slot], true, nil }, true
	}
	switch {
	case name == "empty" && len(args) == 0:
		return empty, true
	case name == "not" && len(args) == 0:
		return condition(identity, constant(false), constant(true)), true
	case name == "type" && len(args) == 0:
		return func(_ *frame, in any) (any, bool, error) { return typeOf(in), true, nil }, true
	case name == "select" && len(args) == 1:
		test, ok := n.query(args[0], s)
		return condition(test, identity, empty), ok
	case name == "map" && len(args) == 1:
		return n.mapped(t, s)
	case name == "IN" && len(args) == 1:
		return n.in(t, s)
	}
	texts, ok := literals(args)
	if count, known := oneValue[name]; !ok || !known || count != len(args) {
		return nil, false
	}
	quick := quickCall(name, texts)
	if quick == nil {
		return n.part(queryOf(t), s)
	}
	return n.quick(queryOf(t), s, func(_ *frame, in any) (any, bool) { return quick(in) })
}

// typeOf is gojq.TypeOf without memory for the common ones.
func typeOf(v any) any {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case map[string]any:
		return "object"
	}
	return gojq.TypeOf(v)
}

// function is a function of the program without arguments. One that calls itself is gojq's.
func (n *native) function(known *scope) (expression, bool) {
	def := known.function
	if len(def.Args) > 0 {
		return nil, false
	}
	body, again := n.calls[def]
	if !again {
		n.calls[def] = nil
		if compiled, ok := n.query(def.Body, known); ok {
			body, n.calls[def] = compiled, compiled
		}
	}
	if body == nil {
		return nil, false
	}
	return func(f *frame, in any) (any, bool, error) {
		if err := f.called(); err != nil {
			return nil, false, err
		}
		return body(f, in)
	}, true
}

// mapped is map(each) of a list.
func (n *native) mapped(t *gojq.Term, s *scope) (expression, bool) {
	each, ok := n.query(t.Func.Args[0], s)
	if !ok || !n.ours { // the record says how often
		return n.part(queryOf(t), s)
	}
	slow, ok := n.part(queryOf(t), s)
	return func(f *frame, in any) (any, bool, error) {
		list, is := in.([]any)
		if !is {
			return slow(f, in)
		}
		mapped := make([]any, 0, len(list))
		for _, e := range list {
			v, is, err := each(f, e)
			if err == nil {
				err = f.ctx.Err()
			}
			if err != nil {
				return nil, false, err
			}
			if is {
				mapped = append(mapped, v)
			}
		}
		return mapped, true, nil
	}, ok
}

// in is IN("a", "b").
func (n *native) in(t *gojq.Term, s *scope) (expression, bool) {
	var texts []*gojq.Query
	q := t.Func.Args[0]
	for ; q.Op == gojq.OpComma && len(q.FuncDefs) == 0; q = q.Left {
		texts = append(texts, q.Right)
	}
	known, ok := literals(append(texts, q))
	if !ok {
		return nil, false
	}
	return n.quick(queryOf(t), s, func(_ *frame, in any) (any, bool) {
		text, is := in.(string)
		return slices.Contains(known, text), is
	})
}

// quickCall is a function of jq for the inputs that it nearly always has; nil: there is none.
func quickCall(name string, args []string) func(in any) (any, bool) {
	switch name {
	case "tostring":
		return func(in any) (any, bool) { text, is := in.(string); return text, is }
	case "tonumber":
		return func(in any) (any, bool) {
			switch in.(type) {
			case int, float64:
				return in, true
			}
			return nil, false
		}
	case "startswith":
		return func(in any) (any, bool) { text, is := in.(string); return strings.HasPrefix(text, args[0]), is }
	case "endswith":
		return func(in any) (any, bool) { text, is := in.(string); return strings.HasSuffix(text, args[0]), is }
	case "test":
		pattern, err := regexp.Compile(args[0])
		if err != nil {
			return nil
		}
		return func(in any) (any, bool) {
			text, is := in.(string)
			return is && pattern.MatchString(text), is
		}
	}
	return nil
}

// literals are arguments that are texts.
func literals(args []*gojq.Query) (texts []string, ok bool) {
	for _, a := range args {
		v, ok := literal(a.Term)
		text, is := v.(string)
		if !ok || !is || len(a.FuncDefs) > 0 {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}
