package runtime

import "sync"

// background runs work on files beside the workers: an image being written, a chunk
// being read. What it finds comes back to the worker as control; it decides nothing.
//
// By default each task has a goroutine, of which the host waits at Close. A simulation
// takes them one at a time.
type background struct {
	host *Host

	mu     sync.Mutex
	queue  []func() // when driven by hand
	manual bool
}

// run starts task, or queues it when the host is driven by hand.
func (b *background) run(task func()) {
	b.mu.Lock()
	if b.manual {
		b.queue = append(b.queue, task)
		b.mu.Unlock()
		return
	}
	b.mu.Unlock()
	b.host.running.Go(task)
}

// Tasks is how many tasks wait: file work beside the worker.
func (m Manual) Tasks() int {
	b := &m.w.host.background
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// Task runs the task that waits longest. There must be one.
func (m Manual) Task() {
	b := &m.w.host.background
	b.mu.Lock()
	task := b.queue[0]
	b.queue = append(b.queue[:0], b.queue[1:]...)
	b.mu.Unlock()
	task()
}
