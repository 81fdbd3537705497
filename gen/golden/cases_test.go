package golden_test

import (
	"math"
	"reflect"
	"strings"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// golden is one value and the name of its folder.
type golden struct {
	name  string
	value codec.Message
}

// cases returns the values for a type. Of those that are encoded alike the first stays: most types have no text, or
// nothing optional.
func cases(k kind) []golden {
	var list []golden
	seen := map[string]bool{}
	add := func(name string, m codec.Message) {
		if key := string(m.AppendCompact(nil)); !seen[key] {
			seen[key] = true
			list = append(list, golden{name, m})
		}
	}
	zero := k.ours()
	zero.Reset()
	add("zero", zero)
	for _, s := range styles() {
		m := k.ours()
		m.Reset()
		s.fill(reflect.ValueOf(m).Elem(), 0, 0)
		add(s.name, m)
	}
	if _, ok := zero.(*raftpb.HeartbeatRequest); ok {
		add("boundaries", boundaries())
	}
	return list
}

// style is a way to fill every field of a type. The place of a field in its struct and of its struct in a list go into
// the values, so that no two fields of a message are alike by chance.
type style struct {
	name    string
	unset   bool // optional fields stay away
	empty   bool // everything else stays as Reset left it: optional fields are there and zero
	long    bool // lists and texts whose length takes more than the short form in every format
	integer func(place, bits int) int64
	enum    int64 // 0: one of the first values
	text    string
}

func styles() []style {
	plain := func(place, _ int) int64 { return int64(place) }
	return []style{
		{name: "typical", integer: plain},
		{name: "unset", integer: plain, unset: true},
		{name: "empty", integer: plain, empty: true},
		{name: "negative", integer: func(place, bits int) int64 { return math.MinInt64>>(64-bits) + int64(place/100+place%100-1) }},
		{name: "max", integer: func(place, bits int) int64 { return math.MaxInt64>>(64-bits) - int64(place/100+place%100-1) }},
		{name: "unicode", integer: plain, text: "é 世界 \U0001F600 \"\\\n\x00"},
		{name: "long", integer: plain, long: true},
		{name: "unknown-enum", integer: plain, enum: 1000},
	}
}

const longList = 16 // elements; the short forms of Compact and msgpack end below that

// fill gives values to the fields of the struct v, which is element n of a list at the given depth.
func (s *style) fill(v reflect.Value, n, depth int) {
	for i := range v.NumField() {
		s.value(v.Field(i), v.Type().Field(i).Name, 100*(i+1)+n, depth)
	}
}

func (s *style) value(v reflect.Value, name string, place, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		if !strings.HasPrefix(v.Type().Name(), "Opt[") {
			s.fill(v, place%100, depth)
			return
		}
		if s.unset {
			return
		}
		s.value(v.Field(0), name, place, depth)
		v.Field(1).SetBool(true)
	case reflect.Pointer:
		if s.unset {
			return
		}
		m := reflect.New(v.Type().Elem())
		m.Interface().(codec.Message).Reset()
		s.fill(m.Elem(), place%100, depth)
		v.Set(m)
	default:
		if !s.empty {
			s.scalar(v, name, place, depth)
		}
	}
}

func (s *style) scalar(v reflect.Value, name string, place, depth int) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(place%2 == 0)
	case reflect.Int32, reflect.Int64:
		v.SetInt(s.number(v, place))
	case reflect.String:
		v.SetString(s.word(name, depth))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(s.bytes(place, depth))
			return
		}
		n := 2
		if s.long && depth == 0 {
			n = longList
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			if m, ok := v.Index(i).Addr().Interface().(codec.Message); ok {
				m.Reset()
			}
			s.value(v.Index(i), name, 100*(i+1)+i, depth+1)
		}
	}
}

func (s *style) number(v reflect.Value, place int) int64 {
	switch enum := v.Kind() == reflect.Int32 && v.Type() != reflect.TypeFor[int32](); {
	case !enum:
		return s.integer(place, v.Type().Bits())
	case s.enum != 0:
		return s.enum
	default:
		return int64(1 + (place/100+place)%2)
	}
}

func (s *style) word(name string, depth int) string {
	switch {
	case s.text != "":
		return s.text
	case s.long && depth == 0:
		return strings.Repeat(name+" ", 300/(len(name)+1)+1)
	}
	return strings.ToLower(name)
}

func (s *style) bytes(place, depth int) []byte {
	if !s.long || depth > 0 {
		return []byte{0, byte(place / 100), byte(place % 100), 0x80, 0xff}
	}
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// boundaries has the integers at which a format takes one byte more.
func boundaries() codec.Message {
	m := new(raftpb.HeartbeatRequest)
	m.Reset()
	for _, bits := range []uint{4, 5, 6, 7, 8, 13, 14, 15, 16, 20, 21, 31, 32, 53, 63} {
		limit := int64(1)<<(bits-1) + (int64(1)<<(bits-1) - 1) // 1<<bits - 1
		m.Beats = append(m.Beats, raftpb.Beat{
			Group: raftpb.GroupID(limit), Term: raftpb.Term(^limit), Commit: raftpb.Index(limit - 1), Round: -limit, Quiesce: bits%2 == 1,
		})
	}
	return m
}
