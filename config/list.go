package config

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Rules of reading many credentials:
//
//  1. The items of a block list under the key credentials: are cut out of the text by their lines, and each is read by itself,
//     in its turn: one at a time is held as a tree.
//  2. What is left is read as a whole. Every place is that of the whole text.
//  3. A text whose credentials are not plainly such a list is read as a whole; so is a small one in which an item is not
//     YAML, for what is said of that.
//  4. Where something of an item is wanted later, for a message, the item is read again.

const (
	listKey   = "credentials"
	smallText = 1 << 20 // bytes that are read as a whole in no time
)

// list is where the items of the credentials stand in a text.
type list struct {
	text        []byte
	items       []item
	column      int // of the dashes
	line, lines int // the first that is cut out, and how many are
}

// item is a part of a text that begins with the dash, its blanks before it.
type item struct{ from, to, line int }

// cut returns text without the items of its credentials, and these. None: rule 3, or there are none.
func cut(text []byte) (rest []byte, l list) {
	start, line := listStart(text)
	if start < 0 {
		return text, list{}
	}
	l.text, l.items = text, make([]item, 0, bytes.Count(text[start:], []byte("\n"))/8+1)
	l.line = line
	indent, end := -1, len(text)
	for at := start; at < len(text); {
		next := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		row := bytes.TrimRight(text[at:next], " \r\n")
		body := bytes.TrimLeft(row, " ")
		blanks := len(row) - len(body)
		isItem := len(body) > 0 && body[0] == '-' && (len(body) == 1 || body[1] == ' ')
		switch {
		case len(body) == 0 || body[0] == '#':
		case body[0] == '\t':
			return text, list{}
		case indent < 0 && isItem:
			indent = blanks
			fallthrough
		case isItem && blanks == indent:
			l.items = append(l.items, item{at, next, line})
		case indent >= 0 && blanks > indent:
		case blanks == 0 && !isItem:
			end = at
		default:
			return text, list{}
		}
		if end == at {
			break
		}
		if n := len(l.items); n > 0 {
			l.items[n-1].to = next
		}
		at, line = next, line+1
	}
	if len(l.items) == 0 {
		return text, list{}
	}
	l.column, l.lines = indent+1, line-l.line
	return append(text[:start:start], text[end:]...), l
}

// listStart returns where the line after the key begins, and its number; -1 where it is not there once, alone on its line.
func listStart(text []byte) (at, line int) {
	const key = listKey + ":"
	at, line = -1, 0
	for from, n := 0, 1; from < len(text); n++ {
		next := len(text)
		if i := bytes.IndexByte(text[from:], '\n'); i >= 0 {
			next = from + i + 1
		}
		if after, is := bytes.CutPrefix(text[from:next], []byte(key)); is {
			after = bytes.TrimSpace(after)
			if at >= 0 || len(after) > 0 && after[0] != '#' {
				return -1, 0
			}
			at, line = next, n+1
		}
		from = next
	}
	return at, line
}

// readItems reads the items and gives each to t.each.
func (t *tree) readItems() error {
	t.places[listKey] = place{t.list.items[0].line, t.list.column}
	for i := range t.list.items {
		if t.each == nil {
			break
		}
		v, err := t.readItem(i)
		if err != nil {
			return err
		}
		t.each(i, v)
	}
	return nil
}

// readItem makes i the item that is held.
func (t *tree) readItem(i int) (any, error) {
	it := t.list.items[i]
	places, line := t.places, t.line
	defer func() { t.places, t.line = places, line }()
	t.places, t.line = map[string]place{}, func(n int) int { return n + it.line - 1 }
	t.held = held{i, t.places, nil}
	file, err := parser.ParseBytes(t.list.text[it.from:it.to], 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, t.syntaxProblem(err)
	}
	var elements []ast.Node
	if len(file.Docs) == 1 {
		if s, ok := file.Docs[0].Body.(*ast.SequenceNode); ok {
			elements = s.Values
		}
	}
	if len(elements) != 1 {
		return nil, problem{
			at: place{it.line, t.list.column}, message: "this is not YAML: one item of a list is expected here", syntax: true,
		}
	}
	path := join(listKey, strconv.Itoa(i))
	if t.places[path] = t.placeOf(elements[0]); elements[0].Type() == ast.NullType {
		t.places[path] = place{it.line, t.list.column + 1}
	}
	t.held.value, err = t.value(elements[0], path, 2)
	return t.held.value, err
}

// held is the item that was read last.
type held struct {
	i      int
	places map[string]place
	value  any
}

// itemOf returns the item that path is in; ok is false where it is in none.
func (t *tree) itemOf(path string) (held, bool) {
	number, ok := strings.CutPrefix(path, listKey+".")
	if !ok || len(t.list.items) == 0 {
		return held{}, false
	}
	number, _, _ = strings.Cut(number, ".")
	number, _, _ = strings.Cut(number, keyMark)
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(t.list.items) {
		return held{}, false
	}
	if t.held.places == nil || t.held.i != i {
		doubles, aliased := t.doubles, t.aliased
		_, _ = t.readItem(i) // it was read before: of what was wrong then, it was told
		t.doubles, t.aliased = doubles, aliased
	}
	return t.held, true
}
