package main

import (
	"fmt"
	"hash/crc32"
	"runtime"
	"sync"
	"time"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

func cpuLimits(dur time.Duration) {
	fmt.Print("\n## CPU\n\n")
	src, dst := make([]byte, 64<<20), make([]byte, 64<<20)
	for i := range src {
		src[i] = byte(i)
	}
	perCall := func(f func()) float64 { // seconds
		n := 0
		start := time.Now()
		for time.Since(start) < dur/4 {
			for range 16 {
				f()
			}
			n += 16
		}
		return time.Since(start).Seconds() / float64(n)
	}
	for _, size := range []int{144, 1024, 16 << 10, 1 << 20, 64 << 20} {
		c := perCall(func() { copy(dst[:size], src[:size]) })
		k := perCall(func() { crc32.Update(0, castagnoli, src[:size]) })
		fmt.Printf("- %d B: memcpy %.2f GB/s (%.0f ns), crc32c %.2f GB/s (%.0f ns)\n",
			size, float64(size)/c/1e9, c*1e9, float64(size)/k/1e9, k*1e9)
	}
	fmt.Printf("- time.Now: %.0f ns\n", perCall(func() { time.Now() })*1e9)
	var sink []byte
	fmt.Printf("- make([]byte, 144): %.0f ns\n", perCall(func() { sink = make([]byte, 144) })*1e9)
	runtime.KeepAlive(sink)

	for _, clients := range []int{1, 256, 4096} {
		parkAndWake(clients, dur)
	}
	pair := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	go func() {
		for range pair[0] {
			pair[1] <- struct{}{}
		}
	}()
	fmt.Printf("- goroutine switch there and back over channels: %.0f ns\n", perCall(func() { pair[0] <- struct{}{}; <-pair[1] })*1e9)
	close(pair[0])
}

// parkAndWake measures clients that park on a channel and one server goroutine
// that wakes them: the least that a blocking API costs per operation.
func parkAndWake(clients int, dur time.Duration) {
	req := newBatchQueue[chan error]()
	go func() {
		for {
			batch, ok := req.wait()
			if !ok {
				return
			}
			for _, c := range batch {
				c <- nil
			}
			req.recycle(batch)
		}
	}()
	var wg sync.WaitGroup
	counts := make([]int, clients)
	stop := time.Now().Add(dur)
	before := meter.Process()
	for i := range clients {
		wg.Go(func() {
			done := make(chan error, 1)
			for n := 0; ; n++ {
				if n%64 == 0 && time.Now().After(stop) {
					counts[i] = n
					return
				}
				req.push(done)
				<-done
			}
		})
	}
	wg.Wait()
	req.close()
	total := 0
	for _, n := range counts {
		total += n
	}
	cpu := meter.Process().Sub(before).CPU.Seconds()
	fmt.Printf("- enqueue, park, wake with %d clients and no work at all: %.0f ops/s, %.2f µs CPU per op\n",
		clients, float64(total)/dur.Seconds(), cpu/float64(total)*1e6)
}
