package oracle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Limits of files.
const (
	MaxLineBytes = 1 << 20
	MaxOps       = 1 << 26 // in one file
)

// ErrTooLarge is the cause of an error at a line or file beyond the limits.
var ErrTooLarge = errors.New("too large")

// LineError tells where a file is wrong.
type LineError struct {
	Line int // from 1
	Err  error
}

// Error gives the line and the cause.
func (e *LineError) Error() string { return fmt.Sprintf("oracle: read: line %d: %v", e.Line, e.Err) }

// Unwrap returns the cause.
func (e *LineError) Unwrap() error { return e.Err }

// WriteHistory writes a history, one JSON object per line:
//
//	{"process":1,"op":"put","key":"x","value":"1","start":10,"end":20,"status":"ok"}
//	{"process":2,"op":"get","key":"x","found":true,"result":"1","start":30,"end":40,"status":"ok"}
//
// Texts must be UTF-8. Histories of several writers may be joined by joining their
// files.
func WriteHistory(w io.Writer, history []Op) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	for i := range history {
		o := &history[i]
		if text := o.validate(); text != "" {
			return fmt.Errorf("oracle: write: operation %d: %s", i, text)
		}
		for _, s := range [...]string{o.Key, o.Value, o.Expect, o.Result} {
			if !utf8.ValidString(s) {
				return fmt.Errorf("oracle: write: operation %d: %q is not UTF-8", i, s)
			}
		}
		if err := enc.Encode(o); err != nil {
			return fmt.Errorf("oracle: write: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("oracle: write: %w", err)
	}
	return nil
}

// ReadHistory reads what WriteHistory wrote. Fields that an Op does not have are refused, for a
// checker that overlooks half of an operation finds nothing. Errors are *LineError
// or those of r.
func ReadHistory(r io.Reader) ([]Op, error) { return readHistory(r, MaxOps) }

func readHistory(r io.Reader, limit int) ([]Op, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), MaxLineBytes)
	var history []Op
	n := 0
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if len(history) == limit {
			return nil, &LineError{n, ErrTooLarge}
		}
		o, err := parse(lines.Bytes())
		if err != nil {
			return nil, &LineError{n, err}
		}
		history = append(history, o)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, &LineError{n + 1, ErrTooLarge}
	case err != nil:
		return nil, fmt.Errorf("oracle: read: %w", err)
	}
	return history, nil
}

func parse(line []byte) (o Op, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return Op{}, err
	}
	if dec.More() {
		return Op{}, errors.New("more than one object")
	}
	if text := o.validate(); text != "" {
		return Op{}, errors.New(text)
	}
	return o, nil
}
