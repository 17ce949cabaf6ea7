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

// tree is a YAML document as plain values, with the place of each. Paths are "credentials.0.name". Items of a long list
// of credentials are not in it: each was given to each, and only the last that was asked for is held.
type tree struct {
	root    map[string]any
	places  map[string]place
	doubles []problem

	list list
	held held
	each func(i int, v any) // nil: they are passed over
	line func(int) int      // in the whole text, of one in the part that is read

	anchors    map[string]anchor
	aliased    int // values that aliases stand for
	inAlias    int // how deep
	maxAliased int
}

// takeItem is given the item i of a list, whose places t has.
type takeItem func(t *tree, i int, v any)

// anchor is a value with a name, and line of the part that it is in.
type anchor struct {
	value ast.Node
	line  func(int) int
}

type place struct{ line, column int }

// An alias is a copy; more copied values than this, or than the bytes of a large file, are an attack or a mistake.
const maxAliased = 10000

// readTree reads a text. Items of a long list of credentials are given to each, in their order, as soon as they are read.
func readTree(text []byte, each takeItem) (*tree, []problem) {
	rest, l := cut(text)
	t, err := readPart(text, rest, l, each)
	if p := (problem{}); errors.As(err, &p) && p.syntax && len(l.items) > 0 && len(text) <= smallText {
		t, err = readPart(text, text, list{}, each)
	}
	if err != nil {
		var p problem
		errors.As(err, &p)
		return nil, []problem{p}
	}
	return t, nil
}

func readPart(text, rest []byte, l list, each takeItem) (*tree, error) {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, problem{message: "the file is UTF-16; UTF-8 is expected"}
	}
	t := &tree{
		root: map[string]any{}, places: map[string]place{}, anchors: map[string]anchor{}, list: l,
		line: func(n int) int { return n }, maxAliased: max(maxAliased, len(text)),
	}
	if each != nil {
		t.each = func(i int, v any) { each(t, i, v) }
	}
	if len(l.items) > 0 {
		t.line = func(n int) int {
			if n >= l.line {
				n += l.lines
			}
			return n
		}
	}
	if at := tooDeep(rest); at > 0 {
		return nil, problem{at: place{t.line(at), 1}, message: "nested too deeply"}
	}
	file, err := parser.ParseBytes(rest, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, t.syntaxProblem(err)
	}
	var docs []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil && d.Body.Type() != ast.NullType && d.Body.Type() != ast.CommentType {
			docs = append(docs, d.Body)
		}
	}
	switch {
	case len(docs) > 1:
		return nil, problem{at: t.placeOf(docs[1]), message: "the file holds more than one YAML document"}
	case len(docs) == 0: // one that is being written is so for a moment, and must not retire every credential
		return nil, problem{message: "the file says nothing", hint: "{} is a configuration without anything"}
	}
	v, err := t.value(docs[0], "", 0)
	if err != nil {
		return nil, err
	}
	root, ok := v.(map[string]any)
	if !ok {
		return nil, problem{at: t.placeOf(docs[0]), message: "the file is not a mapping of keys to values"}
	}
	t.root = root
	return t, nil
}

// deepest is far beyond maxDepth: brackets in quotes are counted as well.
const deepest = 1000

// tooDeep returns the line on which a text is nested so deeply that parsing it would take a time that grows by the square; 0:
// it is not.
func tooDeep(text []byte) (line int) {
	line, depth := 1, 0
	begun, leads := false, 0 // in a line: something that is no indicator, and how many indicators came before
	for _, c := range text {
		switch c {
		case '\n':
			line, begun, leads = line+1, false, 0
		case '[', '{':
			depth, begun = depth+1, true
		case ']', '}':
			depth, begun = max(0, depth-1), true
		case '-', '?', ':':
			if !begun {
				leads++
			}
		case ' ':
		default:
			begun = true
		}
		if depth > deepest || leads > deepest {
			return line
		}
	}
	return 0
}

func (t *tree) syntaxProblem(err error) problem {
	var syntax *yaml.SyntaxError
	p := problem{message: "this is not YAML", syntax: true}
	if errors.As(err, &syntax) {
		p.message = "this is not YAML: " + yamlWords(syntax.Message)
		p.at = t.placeOfToken(syntax.Token)
	}
	return p
}

// yamlMistakes are what people do, by the words of the library that finds it.
var yamlMistakes = []struct{ found, means string }{
	{"tab character", "a tab is here, and YAML is indented with blanks"},
	{"'\t'", "a tab is here, and YAML is indented with blanks"},
	{
		"mapping value is not allowed",
		"a “key:” is not expected here: keys of one mapping begin in one column, and a text with a colon goes in quotes",
	},
	{"reserved", "a text that begins with @ or ` goes in quotes"},
	{"']'", "a list that begins with [ does not end: ] or a comma is missing"},
	{"'['", "] ends a list that did not begin"},
	{"'}'", "a mapping that begins with { does not end: } or a comma is missing"},
	{"'{'", "} ends a mapping that did not begin"},
	{"end character of", "a quote does not end"},
	{"end of a literal", "a quote does not end"},
	{"alias", "there is an alias (*name) for which there is no anchor (&name); a text that begins with * goes in quotes"},
	{"anchor", "an anchor (&name) is not allowed here; a text that begins with & goes in quotes"},
	{"tag", "a tag (!name) is not allowed here; a text that begins with ! goes in quotes"},
	{"directive", "a directive (%) is not allowed here; a text that begins with % goes in quotes"},
}

func yamlWords(found string) string {
	for _, m := range yamlMistakes {
		if strings.Contains(found, m.found) {
			return m.means
		}
	}
	return "it cannot be read from here on; is this indented as the lines around it, with a blank after the colon?"
}

func (t *tree) placeOf(n ast.Node) place { return t.placeOfToken(n.GetToken()) }

func (t *tree) placeOfToken(k *token.Token) place {
	if k == nil || k.Position == nil {
		return place{}
	}
	return place{t.line(k.Position.Line), k.Position.Column}
}

const maxDepth = 50

func (t *tree) value(n ast.Node, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, problem{at: t.placeOf(n), message: "nested too deeply"}
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
			t.places[child] = t.placeOf(e)
			v, err := t.value(e, child, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case *ast.AnchorNode:
		t.anchors[n.Name.GetToken().Value] = anchor{n.Value, t.line}
		return t.value(n.Value, path, depth+1)
	case *ast.AliasNode:
		target, ok := t.anchors[n.Value.GetToken().Value]
		if !ok {
			return nil, problem{at: t.placeOf(n), message: "there is no anchor of this name before it"}
		}
		t.aliased++
		line := t.line
		t.line = target.line
		t.inAlias++
		v, err := t.value(target.value, path, depth+1)
		t.inAlias--
		t.line = line
		return v, err
	case *ast.TagNode:
		return nil, problem{at: t.placeOf(n), message: "YAML tags are not supported"}
	case *ast.NullNode:
		return nil, nil
	case ast.ScalarNode:
		if t.inAlias > 0 {
			if t.aliased++; t.aliased > t.maxAliased {
				return nil, problem{at: t.placeOf(n), message: "the aliases of this file stand for too much"}
			}
		}
		return n.GetValue(), nil
	}
	return nil, problem{at: t.placeOf(n), message: fmt.Sprintf("a %s is not expected here", strings.ToLower(n.Type().String()))}
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
				problem{
					path: child, at: t.placeOf(kv.Key), message: fmt.Sprintf("the key %q is given twice", key), hint: "keep one of them",
				},
			)
			continue
		}
		t.places[child+keyMark] = t.placeOf(kv.Key)
		t.places[child] = t.placeOf(kv.Value)
		if child == listKey && len(t.list.items) > 0 {
			if err := t.readItems(); err != nil {
				return nil, err
			}
			continue
		}
		v, err := t.value(kv.Value, child, depth+1)
		if err != nil {
			return nil, err
		}
		if v == nil { // "key:" with nothing is as if it were not there
			t.places[child] = t.placeOf(kv.Key)
			continue
		}
		if _, isMapping := v.(map[string]any); isMapping {
			t.places[child] = t.placeOf(kv.Key)
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
	if item, ok := t.itemOf(path); ok {
		for p := path; p != listKey; p = p[:strings.LastIndexByte(p, '.')] {
			if at, ok := item.places[p]; ok {
				return at
			}
		}
		path = listKey
	}
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
