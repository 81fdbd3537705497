package main

import (
	"io"
	"net"
	"sync"
	"testing"
)

// link is a proxy in user space for one direction between two nodes: what node a dials to reach node b.
type link struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
	ended bool
	tasks sync.WaitGroup
}

// newLink starts a proxy of target on a free port.
func newLink(t testing.TB, target string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &link{listener: l, target: target, conns: map[net.Conn]bool{}}
	p.tasks.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *link) addr() string { return p.listener.Addr().String() }

// setCut cuts the link, with all that goes through it, or heals it.
func (p *link) setCut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if cut {
		p.closeConns()
	}
}

func (p *link) closeConns() {
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *link) close() {
	p.mu.Lock()
	p.ended = true
	p.closeConns()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.tasks.Wait()
}

func (p *link) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		if !p.add(c) {
			continue
		}
		p.tasks.Go(func() { p.carry(c) })
	}
}

// add notes an open connection; a link that is cut closes it instead.
func (p *link) add(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut || p.ended {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *link) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

// carry copies both ways until one side ends.
func (p *link) carry(c net.Conn) {
	defer p.forget(c)
	to, err := net.Dial("tcp", p.target)
	if err != nil || !p.add(to) {
		return
	}
	defer p.forget(to)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(c, to)
		_ = c.Close()
	})
	_, _ = io.Copy(to, c)
	_ = to.Close()
	back.Wait()
}
