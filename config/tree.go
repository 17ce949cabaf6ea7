package config

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// tree is a YAML document as plain values, with the place of each. Paths are "credentials.0.name".
type tree struct {
	root    map[string]any
	places  map[string]place
	doubles []problem

	anchors map[string]ast.Node
	aliased int
}

type place struct{ line, column int }

// An alias is a copy; more than this many copied values in a file are an attack or a mistake.
const maxAliased = 10000

func readTree(text []byte) (*tree, []problem) {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, []problem{{message: "the file is UTF-16; UTF-8 is expected"}}
	}
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, []problem{syntaxProblem(err)}
	}
	t := &tree{root: map[string]any{}, places: map[string]place{}, anchors: map[string]ast.Node{}}
	var docs []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil && d.Body.Type() != ast.NullType && d.Body.Type() != ast.CommentType {
			docs = append(docs, d.Body)
		}
	}
	switch {
	case len(docs) > 1:
		return nil, []problem{{at: placeOf(docs[1]), message: "the file holds more than one YAML document"}}
	case len(docs) == 0: // one that is being written is so for a moment, and must not retire every credential
		return nil, []problem{{message: "the file says nothing", hint: "{} is a configuration without anything"}}
	}
	v, err := t.value(docs[0], "", 0)
	if err != nil {
		var p problem
		errors.As(err, &p)
		return nil, []problem{p}
	}
	root, ok := v.(map[string]any)
	if !ok {
		return nil, []problem{{at: placeOf(docs[0]), message: "the file is not a mapping of keys to values"}}
	}
	t.root = root
	return t, nil
}

func syntaxProblem(err error) problem {
	var syntax *yaml.SyntaxError
	p := problem{message: "this is not YAML"}
	if errors.As(err, &syntax) {
		p.message = "this is not YAML: " + strings.ReplaceAll(syntax.Message, "\n", " ")
		p.at = placeOfToken(syntax.Token)
	}
	return p
}

func placeOf(n ast.Node) place { return placeOfToken(n.GetToken()) }

func placeOfToken(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{t.Position.Line, t.Position.Column}
}

const maxDepth = 50

func (t *tree) value(n ast.Node, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, problem{at: placeOf(n), message: "nested too deeply"}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return t.mapping(n.Values, path, depth)
	case *ast.MappingValueNode:
		return t.mapping([]*ast.MappingValueNode{n}, path, depth)
	case *ast.SequenceNode:
		list := make([]any, 0, len(n.Values))
		for i, e := range n.Values {
			child := join(path, strconv.Itoa(i))
			t.places[child] = placeOf(e)
			v, err := t.value(e, child, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case *ast.AnchorNode:
		t.anchors[n.Name.GetToken().Value] = n.Value
		return t.value(n.Value, path, depth+1)
	case *ast.AliasNode:
		target, ok := t.anchors[n.Value.GetToken().Value]
		if !ok {
			return nil, problem{at: placeOf(n), message: "there is no anchor of this name before it"}
		}
		t.aliased++
		return t.value(target, path, depth+1)
	case *ast.TagNode:
		return nil, problem{at: placeOf(n), message: "YAML tags are not supported"}
	case *ast.NullNode:
		return nil, nil
	case ast.ScalarNode:
		if t.aliased > 0 {
			if t.aliased++; t.aliased > maxAliased {
				return nil, problem{at: placeOf(n), message: "the aliases of this file stand for too much"}
			}
		}
		return n.GetValue(), nil
	}
	return nil, problem{at: placeOf(n), message: fmt.Sprintf("a %s is not expected here", strings.ToLower(n.Type().String()))}
}

func (t *tree) mapping(values []*ast.MappingValueNode, path string, depth int) (any, error) {
	m := map[string]any{}
	for _, kv := range values {
		if kv.Key.IsMergeKey() {
			merged, err := t.value(kv.Value, path, depth+1)
			if err != nil {
				return nil, err
			}
			from, _ := merged.(map[string]any)
			for k, v := range from {
				if _, ok := m[k]; !ok {
					m[k] = v
				}
			}
			continue
		}
		key := kv.Key.GetToken().Value
		child := join(path, key)
		if _, double := m[key]; double && t.places[child] != (place{}) && kv.Key.GetToken() != nil {
			t.doubles = append(
				t.doubles,
				problem{path: child, at: placeOf(kv.Key), message: fmt.Sprintf("the key %q is given twice", key), hint: "keep one of them"},
			)
			continue
		}
		t.places[child+keyMark] = placeOf(kv.Key)
		t.places[child] = placeOf(kv.Value)
		v, err := t.value(kv.Value, child, depth+1)
		if err != nil {
			return nil, err
		}
		if v == nil { // "key:" with nothing is as if it were not there
			t.places[child] = placeOf(kv.Key)
			continue
		}
		if _, isMapping := v.(map[string]any); isMapping {
			t.places[child] = placeOf(kv.Key)
		}
		m[key] = v
	}
	return m, nil
}

// keyMark tells the place of a key from that of its value.
const keyMark = "\x00key"

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// place returns where path is, or the nearest thing around it.
func (t *tree) place(path string) place {
	for {
		if p, ok := t.places[path]; ok {
			return p
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return place{1, 1}
		}
		path = path[:i]
	}
}
