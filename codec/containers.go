package codec

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/apache/thrift/lib/go/thrift"
)

// UUID is the IDL's uuid: 16 bytes, in the order in which they are written.
type UUID = thrift.Tuuid

// Pair is one entry of a map whose keys Go cannot compare, such as lists: such a map is a slice of pairs.
type Pair[K, V any] struct {
	Key   K
	Value V
}

// SortedKeys returns m's keys in ascending order. Encoders write maps in it, so that equal maps have equal bytes.
func SortedKeys[M ~map[K]V, K cmp.Ordered, V any](m M) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// SortedKeysFunc is SortedKeys for keys without an order of their own: they are sorted by their encoding.
func SortedKeysFunc[M ~map[K]V, K comparable, V any](m M, encode func(b []byte, k K) []byte) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	return SortedFunc(keys, encode)
}

// Sorted returns s, the elements of a set, in ascending order and without repetitions: s itself when it is so
// already, else a copy.
func Sorted[S ~[]T, T cmp.Ordered](s S) S {
	ascending := true
	for i := 1; i < len(s) && ascending; i++ {
		ascending = cmp.Less(s[i-1], s[i])
	}
	if ascending {
		return s
	}
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.CompactFunc(s, func(a, b T) bool { return cmp.Compare(a, b) == 0 })
}

// SortedFunc is Sorted for elements without an order of their own: they are sorted by their encoding.
func SortedFunc[S ~[]T, T any](s S, encode func(b []byte, v T) []byte) S {
	if len(s) < 2 {
		return s
	}
	keyed := make([]Pair[[]byte, T], len(s))
	for i, v := range s {
		keyed[i] = Pair[[]byte, T]{encode(nil, v), v}
	}
	byKey := func(a, b Pair[[]byte, T]) int { return bytes.Compare(a.Key, b.Key) }
	slices.SortStableFunc(keyed, byKey)
	keyed = slices.CompactFunc(keyed, func(a, b Pair[[]byte, T]) bool { return byKey(a, b) == 0 })
	out := make(S, len(keyed))
	for i := range keyed {
		out[i] = keyed[i].Value
	}
	return out
}

// SortedPairs returns the entries of a map in the order of their encoded keys. Of several entries with
// one key the last stays.
func SortedPairs[K, V any](s []Pair[K, V], encode func(b []byte, k K) []byte) []Pair[K, V] {
	s = slices.Clone(s)
	slices.Reverse(s)
	return SortedFunc(s, func(b []byte, p Pair[K, V]) []byte { return encode(b, p.Key) })
}

// BinaryKey is the order of binaries, for the functions above: by their bytes.
func BinaryKey[K ~[]byte](_ []byte, k K) []byte { return k }

// MapBytes returns the memory of a map with n entries, of entry bytes each: its header, which an empty one has too, room
// for 8 entries at least, and for twice as many as there are behind that. Decoders take it from their budget.
func MapBytes(n, entry int) int {
	const header, table, group = 48, 64, 8
	switch {
	case n == 0:
		return header
	case n <= group:
		return header + group*(entry+1)
	case n > math.MaxInt32/(2*entry+2): // no message has so many
		return math.MaxInt32
	}
	return header + table + n*(2*entry+2)
}

// NonNilSlice returns s, or an empty slice for nil: where nil would mean that there is no value.
func NonNilSlice[S ~[]T, T any](s S) S {
	if s == nil {
		return S{}
	}
	return s
}

// NonNilMap returns m, or an empty map for nil.
func NonNilMap[M ~map[K]V, K comparable, V any](m M) M {
	if m == nil {
		return M{}
	}
	return m
}
