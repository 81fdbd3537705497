package golden_test

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// toJSON renders a value of the official code in the form that README.md describes.
func toJSON(t *testing.T, m any) []byte {
	t.Helper()
	b, err := appendValue(nil, reflect.ValueOf(m))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	out.WriteByte('\n')
	return out.Bytes()
}

func appendValue(b []byte, v reflect.Value) ([]byte, error) {
	if v.Kind() == reflect.Pointer {
		return appendValue(b, v.Elem())
	}
	switch v.Kind() {
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), nil
	case reflect.Int32:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case reflect.Int64:
		if v.Type().Implements(reflect.TypeFor[encoding.TextMarshaler]()) { // the official code's enums
			return strconv.AppendInt(b, v.Int(), 10), nil
		}
		return strconv.AppendQuote(b, strconv.FormatInt(v.Int(), 10)), nil
	case reflect.String:
		text, err := json.Marshal(v.String())
		return append(b, text...), err
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return strconv.AppendQuote(b, hex.EncodeToString(v.Bytes())), nil
		}
		return appendList(b, v)
	case reflect.Struct:
		return appendStruct(b, v)
	}
	return nil, fmt.Errorf("no JSON form for a %s: add one here, in README.md and in the runners", v.Type())
}

func appendList(b []byte, v reflect.Value) (_ []byte, err error) {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendValue(b, v.Index(i)); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendStruct(b []byte, v reflect.Value) (_ []byte, err error) {
	b = append(b, '{')
	for i := range v.NumField() {
		f := v.Field(i)
		if tag := v.Type().Field(i).Tag.Get("json"); f.Kind() == reflect.Pointer && f.IsNil() || strings.HasSuffix(tag, ",omitempty") && f.IsZero() {
			continue // optional, and not there
		}
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("thrift"), ",")
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(strconv.AppendQuote(b, name), ':')
		if b, err = appendValue(b, f); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}
