package compact

import "github.com/seed-814fcd60/raftwire/codec/internal/cursor"

// Slice reads the header of a list or set and returns a slice for its elements, with s's capacity used again.
func Slice[S ~[]T, T any](d *Decoder, s S, elem uint32, limit int) S {
	return cursor.Slice(&d.Cursor, s, d.List(elem, limit))
}

// OptSlice is Slice for an optional field: never nil.
func OptSlice[S ~[]T, T any](d *Decoder, _ S, elem uint32, limit int) S {
	return cursor.Filled[S](&d.Cursor, d.List(elem, limit))
}

// Resize returns a slice of n elements for the entries of a map, with s's capacity used again.
func Resize[S ~[]T, T any](d *Decoder, s S, n int) S { return cursor.Slice(&d.Cursor, s, n) }

// OptResize is Resize for an optional field: never nil.
func OptResize[S ~[]T, T any](d *Decoder, _ S, n int) S { return cursor.Filled[S](&d.Cursor, n) }

// MakeMap returns a map for n entries.
func MakeMap[K comparable, V any](d *Decoder, n int) map[K]V { return cursor.Map[K, V](&d.Cursor, n) }

// New returns a new T, for an optional struct.
func New[T any](d *Decoder) *T { return cursor.New[T](&d.Cursor) }
