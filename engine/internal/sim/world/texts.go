package world

import (
	"slices"
	"strconv"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
)

// texts writes keys and values as the histories have them. Clients name the same few again
// and again.
type texts struct {
	keys  []string   // registers' and lists' in turn
	lists []listText // by key
	buf   []byte
}

// listText is a list as it was read last.
type listText struct {
	values []uint64
	text   string
}

// key is the name of a register or a list.
func (t *texts) key(k uint32, list bool) string {
	for len(t.keys) < 2*int(k)+2 {
		n := strconv.Itoa(len(t.keys) / 2)
		t.keys = append(t.keys, "r"+n, "l"+n)
	}
	if list {
		return t.keys[2*k+1]
	}
	return t.keys[2*k]
}

// value is a value as it stands in a register.
func value(v uint64) string { return strconv.FormatUint(v, 36) }

// appendMarked appends a value as it stands in a list.
func appendMarked(b []byte, v uint64) []byte {
	return append(strconv.AppendUint(b, v, 36), oracle.Mark...)
}

// list is the content of a list.
func (t *texts) list(key uint32, values []uint64) string {
	for len(t.lists) <= int(key) {
		t.lists = append(t.lists, listText{})
	}
	was := &t.lists[key]
	had := len(was.values)
	switch {
	case len(values) < had || !slices.Equal(values[:had], was.values):
		t.buf, had, was.values = t.buf[:0], 0, was.values[:0]
	case len(values) == had:
		return was.text
	default:
		t.buf = append(t.buf[:0], was.text...)
	}
	for _, v := range values[had:] {
		t.buf = appendMarked(t.buf, v)
	}
	was.values, was.text = append(was.values, values[had:]...), string(t.buf)
	return was.text
}
