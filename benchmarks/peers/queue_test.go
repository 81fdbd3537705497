package main

import "testing"

func TestBatchQueueHandsOverEachItemOnce(t *testing.T) {
	q := newBatchQueue[int]()
	const producers, each = 8, 10000
	for p := range producers {
		go func() {
			for i := range each {
				q.push(p*each + i)
			}
		}()
	}
	seen := make(map[int]bool)
	for len(seen) < producers*each {
		got, ok := q.wait()
		if !ok {
			t.Fatal("closed early")
		}
		for _, v := range got {
			if seen[v] {
				t.Fatal("duplicate", v)
			}
			seen[v] = true
		}
		q.recycle(got)
	}
	q.close()
	if _, ok := q.wait(); ok {
		t.Fatal("not closed")
	}
	if q.push(1) || q.pushAll([]int{1}) {
		t.Fatal("a closed queue took an item")
	}
}
