package codectest

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"

	"github.com/seed-814fcd60/raftwire/codec"
)

// Fill gives every field of m a random value: integers of all magnitudes, empty and long lists, optional fields
// there or not. Unions get exactly one field. Structs nest a few levels deep. m must be a generated message.
func Fill(r *rand.Rand, m codec.Message) {
	m.Reset()
	fillStruct(r, reflect.ValueOf(m).Elem(), 0)
}

// maxNesting ends recursive structs.
const maxNesting = 4

func fillStruct(r *rand.Rand, v reflect.Value, depth int) {
	if isUnion(v) {
		only := r.IntN(v.NumField())
		for i := range v.NumField() {
			v.Field(i).SetZero()
			if i == only {
				setUnionField(r, v.Field(i), depth)
			}
		}
		return
	}
	for i := range v.NumField() {
		fillValue(r, v.Field(i), depth)
	}
}

func isUnion(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(interface{ Which() (int16, int) })
	return ok
}

// setUnionField fills a field of a union, which is optional, until it is there.
func setUnionField(r *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillStruct(r, v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillValue(r, v.Index(0), depth+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	default:
		fillValue(r, v.Field(0), depth)
		v.Field(1).SetBool(true)
	}
}

func fillValue(r *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(randomInt(r))
	case reflect.Float64:
		v.SetFloat(randomFloat(r))
	case reflect.String:
		v.SetString(randomText(r))
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(r.Uint32() & 0xff))
		}
	case reflect.Slice:
		fillSlice(r, v, depth)
	case reflect.Map:
		fillMap(r, v, depth)
	case reflect.Pointer:
		if v.SetZero(); depth < maxNesting && r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fillStruct(r, v.Elem(), depth+1)
		}
	case reflect.Struct:
		switch {
		case strings.HasPrefix(v.Type().Name(), "Opt["):
			if v.SetZero(); r.IntN(2) == 0 {
				fillValue(r, v.Field(0), depth)
				v.Field(1).SetBool(true)
			}
		case strings.HasPrefix(v.Type().Name(), "Pair["):
			fillValue(r, v.Field(0), depth)
			fillValue(r, v.Field(1), depth)
		default:
			fillStruct(r, v, depth+1)
		}
	}
}

func fillSlice(r *rand.Rand, v reflect.Value, depth int) {
	n := randomLen(r, depth)
	if v.Type().Elem().Kind() == reflect.Uint8 {
		n = randomLen(r, 0) * 7
	}
	if v.SetZero(); n == 0 {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		if e := v.Index(i); e.Kind() == reflect.Uint8 {
			e.SetUint(uint64(r.Uint32() & 0xff))
		} else {
			fillValue(r, e, depth+1)
		}
	}
}

func fillMap(r *rand.Rand, v reflect.Value, depth int) {
	v.Set(reflect.MakeMap(v.Type()))
	for range randomLen(r, depth) {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillValue(r, key, depth+1)
		fillValue(r, value, depth+1)
		v.SetMapIndex(key, value)
	}
}

// randomLen returns how many elements a container has: mostly few, now and then more than 15, where lengths
// take another form in every format; none where nesting ends.
func randomLen(r *rand.Rand, depth int) int {
	switch {
	case depth >= maxNesting:
		return 0
	case depth == 0 && r.IntN(16) == 0:
		return 14 + r.IntN(30)
	}
	return r.IntN(4 - min(depth, 2))
}

// randomInt returns integers whose lengths, in bits, are evenly distributed.
func randomInt(r *rand.Rand) int64 {
	v := int64(r.Uint64() >> r.IntN(64))
	switch r.IntN(8) {
	case 0:
		return math.MinInt64 | v
	case 1:
		return 0
	case 2, 3, 4:
		return -v
	}
	return v
}

func randomFloat(r *rand.Rand) float64 {
	switch r.IntN(6) {
	case 0:
		return 0
	case 1:
		return math.Inf(1)
	case 2:
		return float64(r.IntN(1000))
	}
	return r.NormFloat64() * math.Pow(10, float64(r.IntN(40)-20))
}

func randomText(r *rand.Rand) string {
	letters := []rune("abcXYZ019 _\"\\\n\u00e9\u4e16\U0001F600")
	n := r.IntN(8)
	if r.IntN(16) == 0 {
		n = 28 + r.IntN(300)
	}
	var b strings.Builder
	for range n {
		b.WriteRune(letters[r.IntN(len(letters))])
	}
	return b.String()
}
