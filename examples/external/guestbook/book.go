package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"example.com/guestbook/gen/guestbook"
)

const pages = 3

// book implements guestbook.Guestbook. It keeps at most as many entries as it has pages.
type book struct {
	mu      sync.Mutex
	entries []guestbook.Entry
}

// Sign implements guestbook.Guestbook.
func (b *book) Sign(_ context.Context, entry *guestbook.Entry) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.entries) == pages {
		return 0, &guestbook.Full{Pages: pages}
	}
	e := *entry // the request is the transport's again when it is answered
	e.SignedAt = time.Now().Unix()
	b.entries = append(b.entries, e)
	return int64(len(b.entries)), nil
}

// Read implements guestbook.Guestbook.
func (b *book) Read(_ context.Context, first int64, limit int32) ([]guestbook.Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lo := min(max(first-1, 0), int64(len(b.entries)))
	hi := min(lo+int64(max(limit, 0)), int64(len(b.entries)))
	return slices.Clone(b.entries[lo:hi]), nil
}

// Moods implements guestbook.Guestbook.
func (b *book) Moods(context.Context) (map[guestbook.Mood]int32, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := map[guestbook.Mood]int32{}
	for _, e := range b.entries {
		count[e.Mood.Or(guestbook.MoodUnstated)]++
	}
	return count, nil
}

// Forget implements guestbook.Guestbook.
func (b *book) Forget(_ context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = slices.DeleteFunc(b.entries, func(e guestbook.Entry) bool { return e.Name == name })
	return nil
}
