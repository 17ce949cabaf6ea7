package feed

import (
	"hash/maphash"

	"github.com/valyala/fastjson"
)

// decoder reads a JSON value after the other, most of which are alike: names, methods, user agents and clients come again
// and again, and are the same memory. The members of what it read last are valid until it reads the next.
type decoder struct {
	parser fastjson.Parser
	record map[string]any // the last one, if it was an object
	seed   maphash.Seed
	texts  [4096]any // that were read, by hash
}

func newDecoder() *decoder { return &decoder{record: map[string]any{}, seed: maphash.MakeSeed()} }

const (
	maxTextKept  = 64  // bytes
	maxNamesKept = 256 // emptying the memory of a larger object takes longer than making one
)

// parse reads JSON into the decoder's memory; value makes gojq's of it. Depth is bounded.
func (d *decoder) parse(text []byte) (*fastjson.Value, error) { return d.parser.ParseBytes(text) }

// value turns what parse gave, an object or anything else, into a value of gojq.
func (d *decoder) value(v *fastjson.Value) any {
	o, err := v.Object()
	if err != nil {
		return d.inner(v)
	}
	if len(d.record) > maxNamesKept {
		d.record = map[string]any{}
	}
	clear(d.record)
	d.fill(d.record, o)
	return d.record
}

func (d *decoder) fill(m map[string]any, o *fastjson.Object) {
	o.Visit(func(name []byte, v *fastjson.Value) {
		text, _ := d.text(name).(string)
		m[text] = d.inner(v)
	})
}

func (d *decoder) inner(v *fastjson.Value) any {
	switch v.Type() {
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		return d.text(b)
	case fastjson.TypeNumber:
		return number(v)
	case fastjson.TypeTrue:
		return true
	case fastjson.TypeFalse:
		return false
	case fastjson.TypeArray:
		vs, _ := v.Array()
		list := make([]any, len(vs))
		for i, e := range vs {
			list[i] = d.inner(e)
		}
		return list
	case fastjson.TypeObject:
		o, _ := v.Object()
		m := make(map[string]any, o.Len())
		d.fill(m, o)
		return m
	}
	return nil
}

// number is an int where v is written as one that fits, and a float64 else. Int tells the two apart, but its errors for
// fractions cost more than all the rest: GetInt has none, and is 0 for them.
func number(v *fastjson.Value) any {
	if i := v.GetInt(); i != 0 {
		return i
	}
	if f := v.GetFloat64(); f != 0 {
		return f
	}
	if i, err := v.Int(); err == nil {
		return i
	}
	f, _ := v.Float64()
	return f
}

// text is a string, the one that was read before if it is still known.
func (d *decoder) text(b []byte) any {
	if len(b) > maxTextKept {
		return string(b)
	}
	kept := &d.texts[maphash.Bytes(d.seed, b)%uint64(len(d.texts))]
	if text, is := (*kept).(string); !is || text != string(b) {
		*kept = string(b)
	}
	return *kept
}
