package compact

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

// numbers has integers of every length, both signs.
func numbers() []int64 {
	list := []int64{0, math.MinInt64, math.MaxInt64}
	for bit := range 63 {
		for _, v := range []int64{1<<bit - 1, 1 << bit, 1<<bit + 1} {
			list = append(list, v, -v)
		}
	}
	return list
}

// The short functions write what the general ones do, whatever room there is, and nothing else of what was there.
func TestPutWritesWhatAppendDoes(t *testing.T) {
	same := func(what string, v any, put, plain func(b []byte) []byte) {
		t.Helper()
		want := plain([]byte("before"))
		for room := range 12 {
			b := append(make([]byte, 0, len("before")+room), "before"...)
			if got := put(b); !bytes.Equal(got, want) {
				t.Fatalf("%s %v with room for %d bytes: %x, want %x", what, v, room, got, want)
			}
		}
	}
	for _, v := range numbers() {
		same("i64", v, func(b []byte) []byte { return PutI64(b, v) },
			func(b []byte) []byte { return AppendI64Field(b, 3, 4, v) })
		same("i32", int32(v), func(b []byte) []byte { return PutI32(b, int32(v)) },
			func(b []byte) []byte { return AppendI32Field(b, 3, 4, int32(v)) })
	}
	for _, n := range []int{0, 1, 14, 15, 16, 127, 128, 1<<14 - 1, 1 << 14, 1 << 21} {
		same("binary", n, func(b []byte) []byte { return PutBinary(b, make([]byte, n)) },
			func(b []byte) []byte { return AppendBinaryField(b, 3, 4, make([]byte, n)) })
		same("list", n, func(b []byte) []byte { return PutList(b, Struct, n) },
			func(b []byte) []byte { return AppendListField(b, 3, 4, Struct, n) })
	}
	for _, v := range []bool{true, false} {
		same("bool", v, func(b []byte) []byte { return PutBool(b, v) },
			func(b []byte) []byte { return AppendBoolField(b, 3, 4, v) })
	}
}

// What the Next functions take, the general ones take alike; what they cannot take, they say so and leave alone. Every
// field is read from the middle of the input, from its end, where only the end of the struct follows, and cut short.
func TestNextReadsWhatTheLoopDoes(t *testing.T) {
	for _, v := range numbers() {
		b := AppendI64Field(nil, 0, 1, v)
		var got int64
		nextAgrees(t, b, func(b []byte) (int, bool) { p := NextI64(b, 0, &got); return p, got == v }, v < 1<<54 && v > -1<<54)
		b = AppendI32Field(nil, 0, 1, int32(v))
		var got32 int32
		nextAgrees(t, b, func(b []byte) (int, bool) { p := NextI32(b, 0, &got32); return p, got32 == int32(v) }, true)
	}
	for _, n := range []int{0, 1, 127, 128, 1<<14 - 1, 1 << 14, 1 << 15} {
		want := bytes.Repeat([]byte{7}, n)
		b := AppendBinaryField(nil, 0, 1, want)
		var got []byte
		nextAgrees(t, b, func(b []byte) (int, bool) {
			p := NextBytes(b, 0, &got)
			return p, bytes.Equal(got, want) && (got == nil) == (n == 0) && cap(got) == n
		}, true)
	}
	for _, v := range []bool{true, false} {
		var got bool
		nextAgrees(t, AppendBoolField(nil, 0, 1, v), func(b []byte) (int, bool) { p := NextBool(b, 0, &got); return p, got == v }, true)
	}
}

// nextAgrees reads the field b. A next may refuse it whole unless it must take it.
func nextAgrees(t *testing.T, b []byte, next func(b []byte) (pos int, same bool), must bool) {
	t.Helper()
	padded := append(slices.Clone(b), make([]byte, 8)...)
	if p, same := next(padded); p != -1 && (p != len(b) || !same) || p == -1 && must {
		t.Fatalf("%.20x: read to %d, want %d, same value: %v", b, p, len(b), same)
	}
	if p, same := next(append(slices.Clone(b), 0)); p != -1 && (p != len(b) || !same) || p == -1 && must {
		t.Fatalf("%.20x at the end: read to %d, want %d, same value: %v", b, p, len(b), same)
	}
	for n := range min(len(b), 20) {
		if p, _ := next(slices.Clone(b[:n])); p != -1 {
			t.Fatalf("%.20x cut to %d bytes: read to %d", b, n, p)
		}
	}
	for _, change := range []byte{0x10, 0x01, 0x0f} { // another delta, other types
		other := slices.Clone(padded)
		if other[0] ^= change; other[0] == 1<<4|typeTrue || other[0] == 1<<4|typeFalse {
			continue
		}
		if p, _ := next(other); p != -1 {
			t.Fatalf("%.20x: read to %d, although the header is another one", other, p)
		}
	}
}

// A call behind one that failed fails too, wherever it is asked to read.
func TestNextHandsFailureOn(t *testing.T) {
	b := AppendI64Field(nil, 0, 1, 1)
	var i64 int64
	var i32 int32
	var yes bool
	var bin []byte
	for what, p := range map[string]int{
		"i64": NextI64(b, -1, &i64), "i32": NextI32(b, -1, &i32), "bool": NextBool(b, -1, &yes), "binary": NextBytes(b, -1, &bin),
		"i64 behind the end": NextI64(b, len(b), &i64), "bool behind the end": NextBool(b, len(b), &yes),
	} {
		if p != -1 {
			t.Errorf("%s: %d", what, p)
		}
	}
}

// Varints longer than their type needs, and longer than any, are left to the loop, which knows what to do.
func TestNextRefusesLongVarints(t *testing.T) {
	long := append([]byte{1<<4 | typeI64}, bytes.Repeat([]byte{0x80}, 20)...)
	var v int64
	if p := NextI64(long, 0, &v); p != -1 {
		t.Errorf("i64: %d", p)
	}
	long[0] = 1<<4 | typeBinary
	var b []byte
	if p := NextBytes(long, 0, &b); p != -1 {
		t.Errorf("binary: %d", p)
	}
	huge := append([]byte{1<<4 | typeBinary}, appendVarint(nil, 1<<32+1)...)
	if p := NextBytes(append(huge, make([]byte, 16)...), 0, &b); p != -1 {
		t.Errorf("length over 32 bits: %d", p)
	}
}

// A list is read whose header is short and whose count the input can hold.
func TestNextList(t *testing.T) {
	for n := range 20 {
		b := append(AppendListField(nil, 0, 1, Struct, n), make([]byte, n)...)
		got, at := NextList(b, 0, Struct)
		if n < 15 && (got != n || at != 2) || n >= 15 && at != -1 {
			t.Errorf("%d elements: %d at %d", n, got, at)
		}
		if n == 0 || n >= 15 {
			continue
		}
		for what, b := range map[string][]byte{
			"cut":            b[:len(b)-1],
			"header only":    b[:1],
			"other elements": AppendListField(nil, 0, 1, I64, n),
			"another field":  AppendListField(nil, 0, 2, Struct, n),
			"another type":   AppendI64Field(nil, 0, 1, int64(n)),
			"nothing":        nil,
			"a set":          AppendSetField(nil, 0, 1, Struct, n),
		} {
			if _, at := NextList(b, 0, Struct); at != -1 {
				t.Errorf("%d elements, %s: at %d", n, what, at)
			}
		}
		if _, at := NextList(b, -1, Struct); at != -1 {
			t.Errorf("%d elements after a failure: at %d", n, at)
		}
	}
}
