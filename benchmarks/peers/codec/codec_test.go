package codec

import (
	"bytes"
	"testing"
)

func BenchmarkEncode(b *testing.B) {
	perSubject(b, func(b *testing.B, s Subject) {
		out, err := s.Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(out)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Encode(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	perSubject(b, func(b *testing.B, s Subject) {
		if s.Decode == nil {
			b.Skip("copies only")
		}
		in, err := s.Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(in)))
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Decode(in); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func perSubject(b *testing.B, fn func(*testing.B, Subject)) {
	for _, shape := range Shapes() {
		b.Run(shape.Name, func(b *testing.B) {
			for _, s := range NewSubjects(shape) {
				b.Run(s.Name, func(b *testing.B) { fn(b, s) })
			}
		})
	}
}

func TestEverySubjectBringsTheMessageBack(t *testing.T) {
	for _, shape := range Shapes() {
		want := NewMessage(shape)
		for _, s := range NewSubjects(shape) {
			if s.Decode == nil {
				continue
			}
			t.Run(shape.Name+"/"+s.Name, func(t *testing.T) {
				for range 2 { // the second time everything is reused
					b, err := s.Encode()
					if err != nil {
						t.Fatal(err)
					}
					if err := s.Decode(b); err != nil {
						t.Fatal(err)
					}
					if err := equal(want, s.Decoded()); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// The copied IDL is the one of the repository as long as bytes agree, and msgpack
// as arrays is one format whoever writes it.
func TestSameFormatSameBytes(t *testing.T) {
	pairs := [][2]string{{Compact, Apache}, {Binary, ApacheB}}
	for _, shape := range Shapes() {
		list := NewSubjects(shape)
		for _, pair := range pairs {
			a, b := encoded(t, list, pair[0]), encoded(t, list, pair[1])
			if !bytes.Equal(a, b) {
				t.Errorf("%s: %s and %s differ: %d and %d bytes", shape.Name, pair[0], pair[1], len(a), len(b))
			}
		}
	}
}

func encoded(t *testing.T, list []Subject, name string) []byte {
	t.Helper()
	s, err := Find(list, name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEqualSeesDifferences(t *testing.T) {
	want := NewMessage(Shapes()[0])
	for name, change := range map[string]func(*Message){
		"term":    func(m *Message) { m.Term++ },
		"commit":  func(m *Message) { m.Commit++ },
		"count":   func(m *Message) { m.Entries = m.Entries[1:] },
		"body":    func(m *Message) { m.Entries[3].Body[5]++ },
		"of term": func(m *Message) { m.Entries[3].Term++ },
	} {
		got := NewMessage(Shapes()[0])
		change(&got)
		if equal(want, got) == nil {
			t.Errorf("%s: not seen", name)
		}
	}
}
