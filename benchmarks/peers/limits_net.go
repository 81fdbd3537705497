package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/seed-814fcd60/raftwire/benchmarks/peers/internal/meter"
)

func netLimits(dur time.Duration) error {
	fmt.Print("\n## Loopback TCP in Go\n\n")
	for _, size := range []int{64, 1024, 16 << 10, 128 << 10} {
		if err := pingPong(size, dur); err != nil {
			return err
		}
	}
	for _, size := range []int{144, 1024, 16 << 10, 64 << 10, 256 << 10} {
		if err := oneWay(size, dur); err != nil {
			return err
		}
	}
	return nil
}

// tcpPair returns both ends of a loopback connection.
func tcpPair() (a, b net.Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	type accepted struct {
		conn net.Conn
		err  error
	}
	got := make(chan accepted, 1)
	go func() {
		c, err := l.Accept()
		got <- accepted{c, err}
	}()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	other := <-got
	return a, other.conn, other.err
}

func pingPong(size int, dur time.Duration) error {
	a, b, err := tcpPair()
	if err != nil {
		return err
	}
	go func() {
		buf := make([]byte, size)
		for {
			if _, err := io.ReadFull(b, buf); err != nil {
				return
			}
			if _, err := b.Write(buf); err != nil {
				return
			}
		}
	}()
	h := new(meter.Histogram)
	buf := make([]byte, size)
	for end := time.Now().Add(dur); ; {
		began := time.Now()
		if began.After(end) {
			break
		}
		if _, err := a.Write(buf); err != nil {
			return err
		}
		if _, err := io.ReadFull(a, buf); err != nil {
			return err
		}
		h.Add(time.Since(began))
	}
	s := meter.Summarise(h)
	fmt.Printf("- ping-pong %d B: round trip mean %.1f p50 %.1f p99 %.1f µs\n", size, s.Mean, s.P50, s.P99)
	return errors.Join(a.Close(), b.Close())
}

// oneWay measures one direction, the reader taking as much as there is.
func oneWay(size int, dur time.Duration) error {
	a, b, err := tcpPair()
	if err != nil {
		return err
	}
	before := meter.Process()
	var read int64
	done := make(chan error, 1)
	go func() {
		n, err := io.Copy(io.Discard, bufio.NewReaderSize(onlyReader{b}, 256<<10))
		read = n
		done <- err
	}()
	buf := make([]byte, size)
	n := 0
	start := time.Now()
	for end := start.Add(dur); time.Now().Before(end); n++ {
		if _, err := a.Write(buf); err != nil {
			return err
		}
	}
	if err := errors.Join(a.Close(), <-done, b.Close()); err != nil {
		return err
	}
	took := time.Since(start).Seconds()
	cpu := meter.Process().Sub(before).CPU.Seconds()
	fmt.Printf("- one way, one write per %d B: %.0f writes/s, %.0f MB/s, %.2f µs CPU per write (both ends)\n",
		size, float64(n)/took, float64(read)/took/1e6, cpu/float64(n)*1e6)
	return nil
}

// onlyReader hides WriterTo, so that io.Copy really reads.
type onlyReader struct{ io.Reader }
