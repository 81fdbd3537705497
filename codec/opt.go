package codec

import "fmt"

// Opt is an optional scalar: a value and whether it is there. The zero Opt is absent.
type Opt[T any] struct {
	Value T
	Set   bool
}

// Some returns an Opt that holds v.
func Some[T any](v T) Opt[T] { return Opt[T]{Value: v, Set: true} }

// Get returns the value and whether it is there.
func (o Opt[T]) Get() (T, bool) { return o.Value, o.Set }

// Or returns the value, or fallback when it is absent.
func (o Opt[T]) Or(fallback T) T {
	if o.Set {
		return o.Value
	}
	return fallback
}

// String returns the value as fmt prints it, or "absent".
func (o Opt[T]) String() string {
	if o.Set {
		return fmt.Sprint(o.Value)
	}
	return "absent"
}
