// Package protocol lets generated structs be read and written with any protocol of the Apache
// Thrift library. A Writer or Reader handles one struct; its first error stays, so that generated code
// has one line per field.
package protocol

import (
	"context"

	"github.com/apache/thrift/lib/go/thrift"

	"github.com/seed-814fcd60/raftwire/codec"
)

// A key is what a Reader finds at a field: type<<16 | id. Generated code writes it as
// protocol.I64 | 7. In lists, sets and maps the same constants name the element's type.
const (
	Stop   = 0
	Bool   = thrift.BOOL << 16
	I8     = thrift.BYTE << 16
	Double = thrift.DOUBLE << 16
	I16    = thrift.I16 << 16
	I32    = thrift.I32 << 16
	I64    = thrift.I64 << 16
	Binary = thrift.STRING << 16
	Struct = thrift.STRUCT << 16
	Map    = thrift.MAP << 16
	Set    = thrift.SET << 16
	List   = thrift.LIST << 16
	UUID   = thrift.UUID << 16
)

// Writer writes one struct.
type Writer struct {
	ctx context.Context //nolint:containedctx // lives for one call of Write, whose context it is
	p   thrift.TProtocol
	err error
}

// NewWriter begins a struct.
func NewWriter(ctx context.Context, p thrift.TProtocol, info *codec.StructInfo) Writer {
	return Writer{ctx, p, p.WriteStructBegin(ctx, info.Name)}
}

// Close ends the struct and returns the first error.
func (w *Writer) Close() error {
	w.do(func() error { return w.p.WriteFieldStop(w.ctx) })
	w.do(func() error { return w.p.WriteStructEnd(w.ctx) })
	return w.err
}

// do calls f unless something failed before.
func (w *Writer) do(f func() error) {
	if w.err == nil {
		w.err = f()
	}
}

func kind(key uint32) thrift.TType { return thrift.TType(key >> 16) }

// Field writes a field's header.
func (w *Writer) Field(name string, id int16, key uint32) {
	w.do(func() error { return w.p.WriteFieldBegin(w.ctx, name, kind(key), id) })
}

// FieldEnd ends a field.
func (w *Writer) FieldEnd() {
	w.do(func() error { return w.p.WriteFieldEnd(w.ctx) })
}

// Bool writes a bool.
func (w *Writer) Bool(v bool) { w.do(func() error { return w.p.WriteBool(w.ctx, v) }) }

// I8 writes an i8.
func (w *Writer) I8(v int8) { w.do(func() error { return w.p.WriteByte(w.ctx, v) }) }

// I16 writes an i16.
func (w *Writer) I16(v int16) { w.do(func() error { return w.p.WriteI16(w.ctx, v) }) }

// I32 writes an i32, which enums are too.
func (w *Writer) I32(v int32) { w.do(func() error { return w.p.WriteI32(w.ctx, v) }) }

// I64 writes an i64.
func (w *Writer) I64(v int64) { w.do(func() error { return w.p.WriteI64(w.ctx, v) }) }

// Double writes a double.
func (w *Writer) Double(v float64) { w.do(func() error { return w.p.WriteDouble(w.ctx, v) }) }

// UUID writes a uuid.
func (w *Writer) UUID(v codec.UUID) { w.do(func() error { return w.p.WriteUUID(w.ctx, v) }) }

// Binary writes a binary.
func (w *Writer) Binary(v []byte) { w.do(func() error { return w.p.WriteBinary(w.ctx, v) }) }

// Text writes a string.
func (w *Writer) Text(v string) { w.do(func() error { return w.p.WriteString(w.ctx, v) }) }

// Struct writes a struct.
func (w *Writer) Struct(m interface {
	Write(ctx context.Context, p thrift.TProtocol) error
}) {
	w.do(func() error { return m.Write(w.ctx, w.p) })
}

// List begins a list.
func (w *Writer) List(elem uint32, n int) {
	w.do(func() error { return w.p.WriteListBegin(w.ctx, kind(elem), n) })
}

// ListEnd ends a list.
func (w *Writer) ListEnd() { w.do(func() error { return w.p.WriteListEnd(w.ctx) }) }

// Set begins a set.
func (w *Writer) Set(elem uint32, n int) {
	w.do(func() error { return w.p.WriteSetBegin(w.ctx, kind(elem), n) })
}

// SetEnd ends a set.
func (w *Writer) SetEnd() { w.do(func() error { return w.p.WriteSetEnd(w.ctx) }) }

// Map begins a map.
func (w *Writer) Map(key, value uint32, n int) {
	w.do(func() error { return w.p.WriteMapBegin(w.ctx, kind(key), kind(value), n) })
}

// MapEnd ends a map.
func (w *Writer) MapEnd() { w.do(func() error { return w.p.WriteMapEnd(w.ctx) }) }

// BoolField writes a field of type bool.
func (w *Writer) BoolField(name string, id int16, v bool) {
	w.Field(name, id, Bool)
	w.Bool(v)
	w.FieldEnd()
}

// I8Field writes a field of type i8.
func (w *Writer) I8Field(name string, id int16, v int8) {
	w.Field(name, id, I8)
	w.I8(v)
	w.FieldEnd()
}

// I16Field writes a field of type i16.
func (w *Writer) I16Field(name string, id int16, v int16) {
	w.Field(name, id, I16)
	w.I16(v)
	w.FieldEnd()
}

// I32Field writes a field of type i32, which enums are too.
func (w *Writer) I32Field(name string, id int16, v int32) {
	w.Field(name, id, I32)
	w.I32(v)
	w.FieldEnd()
}

// I64Field writes a field of type i64.
func (w *Writer) I64Field(name string, id int16, v int64) {
	w.Field(name, id, I64)
	w.I64(v)
	w.FieldEnd()
}

// DoubleField writes a field of type double.
func (w *Writer) DoubleField(name string, id int16, v float64) {
	w.Field(name, id, Double)
	w.Double(v)
	w.FieldEnd()
}

// UUIDField writes a field of type uuid.
func (w *Writer) UUIDField(name string, id int16, v codec.UUID) {
	w.Field(name, id, UUID)
	w.UUID(v)
	w.FieldEnd()
}

// BinaryField writes a field of type binary.
func (w *Writer) BinaryField(name string, id int16, v []byte) {
	w.Field(name, id, Binary)
	w.Binary(v)
	w.FieldEnd()
}

// TextField writes a field of type string.
func (w *Writer) TextField(name string, id int16, v string) {
	w.Field(name, id, Binary)
	w.Text(v)
	w.FieldEnd()
}
