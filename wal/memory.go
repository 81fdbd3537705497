package wal

import "sync"

// Memory that is needed for a moment, and then by somebody else: a node that opens many
// logs in its life, or many files of one, makes it once.
//
//nolint:gochecknoglobals // caches of memory
var (
	pages   = sync.Pool{New: func() any { return new([segHeaderBytes]byte) }}
	windows = sync.Pool{New: func() any { return new([]byte) }}
	zeros   = sync.Pool{New: func() any { return new([fillBytes]byte) }} // nothing is ever written to them
)

// withPage lends f a page, whose content means nothing.
func withPage(f func(page []byte) error) error {
	p := pages.Get().(*[segHeaderBytes]byte) //nolint:forcetypeassert // nothing else is in there
	defer pages.Put(p)
	return f(p[:])
}

// borrowWindow gives the scanner a window that another one has left.
func (s *scanner) borrowWindow() {
	s.lent = windows.Get().(*[]byte) //nolint:forcetypeassert // nothing else is in there
	s.window = (*s.lent)[:0]
}

// returnWindow ends the scanner. The frames that it returned are good no more.
func (s *scanner) returnWindow() {
	*s.lent = s.window[:0]
	windows.Put(s.lent)
	s.window, s.lent = nil, nil
}
