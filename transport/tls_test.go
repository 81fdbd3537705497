package transport_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/gen/raftpb"
	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/transport/transporttest"
)

func authority(t testing.TB) *transporttest.Authority {
	t.Helper()
	a, err := transporttest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t testing.TB, a *transporttest.Authority, uris ...string) *transport.Identity {
	t.Helper()
	id, err := a.Issue(nil, uris...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func underTLS(id *transport.Identity) func(*transport.Config) {
	return func(cfg *transport.Config) { cfg.Identity = id }
}

// tlsWorld gives every node of the conformance suite a certificate for the clusters in it.
type tlsWorld struct {
	tcpWorld
	t *testing.T
	a *transporttest.Authority
}

func (w tlsWorld) Listen(cfg transport.Config) (transport.Network, error) {
	uris := []string{transport.NodeURI(cfg.Cluster, cfg.Node)}
	if cfg.Cluster != "test" {
		uris = append(uris, transport.NodeURI("test", cfg.Node))
	}
	cfg.Identity = issue(w.t, w.a, uris...)
	return w.tcpWorld.Listen(cfg)
}

func (tlsWorld) UnderTLS() bool { return true }

func TestTLSConforms(t *testing.T) {
	a := authority(t)
	transporttest.Run(t, func(t *testing.T) transporttest.World { return tlsWorld{t: t, a: a} })
}

// A certificate that is not believed, or not of the node that it should be, ends the
// connection before any call of it is looked at, and the reason is counted on the side that
// found it. (B39: any certificate of the authority may speak Raft.)
func TestWrongCertificates(t *testing.T) {
	a, stranger := authority(t), authority(t)
	expired := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	serverOnly := func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }
	node9 := transport.NodeURI("test", 9)
	for name, c := range map[string]struct {
		by     *transporttest.Authority
		change func(*x509.Certificate)
		uris   []string
	}{
		"another authority":     {stranger, nil, []string{node9}},
		"expired":               {a, expired, []string{node9}},
		"not for clients":       {a, serverOnly, []string{node9}},
		"another node":          {a, nil, []string{transport.NodeURI("test", 8)}},
		"two nodes":             {a, nil, []string{node9, transport.NodeURI("test", 8)}},
		"another cluster":       {a, nil, []string{transport.NodeURI("other", 9)}},
		"a client":              {a, nil, []string{transport.ClientURI("test", "9")}},
		"an administrator":      {a, nil, []string{transport.AdminURI("test", "9")}},
		"no name":               {a, nil, nil},
		"another scheme":        {a, nil, []string{"spiffe:test/node/9"}},
		"id that is none":       {a, nil, []string{"raftwire:test/node/9x"}},
		"cluster in the escape": {a, nil, []string{"raftwire:test%2Fnode%2F9/node/9"}},
	} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int64
			n := listen(t, 1, func(call *transport.Call) { served.Add(1); call.Fail(errors.New("served")) },
				underTLS(issue(t, a, transport.NodeURI("test", 1))))
			id, err := c.by.Issue(c.change, c.uris...)
			if err != nil {
				t.Fatal(err)
			}
			id.Roots = a.Roots()
			nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", n.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			conn := tls.Client(nc, &tls.Config{
				Certificates: []tls.Certificate{id.Certificate}, InsecureSkipVerify: true, //nolint:gosec // the test is the attacker
			})
			_, err = conn.Write(append(helloFrame(nil), voteFrame(2)...))
			_, _ = io.Copy(io.Discard, conn)
			eventually(t, func() bool { return n.Metrics().Refused[transport.ReasonWrongCertificate] == 1 })
			if served.Load() != 0 || n.Metrics().CallsIn != 0 {
				t.Errorf("a call was served; write: %v", err)
			}
		})
	}
}

// The side that dials looks as closely: a server that is not the node it dialed gets no Hello.
func TestWrongServerCertificates(t *testing.T) {
	a, stranger := authority(t), authority(t)
	for name, server := range map[string]*transport.Identity{
		"another authority": issue(t, stranger, transport.NodeURI("test", 2)),
		"another node":      issue(t, a, transport.NodeURI("test", 3)),
		"another cluster":   issue(t, a, transport.NodeURI("other", 2)),
		"a client":          issue(t, a, transport.ClientURI("test", "2")),
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
				MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{server.Certificate},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			heard := make(chan int64, 100)
			go func() {
				for {
					nc, err := ln.Accept()
					if err != nil {
						return
					}
					n, _ := io.Copy(io.Discard, nc)
					nc.Close()
					select {
					case heard <- n:
					default:
					}
				}
			}()
			n := listen(t, 1, propose, underTLS(issue(t, a, transport.NodeURI("test", 1))))
			n.SetPeer(2, ln.Addr().String())
			if got := receive(t, heard); got != 0 {
				t.Errorf("it was told %d bytes", got)
			}
			eventually(t, func() bool { return n.Metrics().Refused[transport.ReasonWrongCertificate] > 0 })
		})
	}
}

// Plain bytes on a port under TLS, and TLS on a plain port, are refused by name.
func TestPlainAndTLSDoNotMeet(t *testing.T) {
	a := authority(t)
	secure := listen(t, 1, propose, underTLS(issue(t, a, transport.NodeURI("test", 1))))
	conn := rawDial(t, secure.Addr())
	if _, err := conn.Write(helloFrame(nil)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn)
	eventually(t, func() bool { return secure.Metrics().Refused[transport.ReasonPlain] == 1 })

	plain := listen(t, 1, propose)
	_, err := transport.Dial(t.Context(), plain.Addr(), transport.ClientConfig{
		Identity: issue(t, a, transport.ClientURI("test", "joe")), Cluster: "test",
	})
	if err == nil {
		t.Error("dialed a plain port under TLS")
	}
	eventually(t, func() bool { return plain.Metrics().Refused[transport.ReasonTLS] == 1 })
}

// A client is known to the handler by its certificate; without one it gets nowhere.
func TestTLSClient(t *testing.T) {
	a := authority(t)
	holders := make(chan transport.Holder, 1)
	n := listen(t, 1, func(c *transport.Call) {
		h, ok := c.Holder()
		if !ok {
			t.Error("a call without a holder under TLS")
		}
		holders <- h
		propose(c)
	}, underTLS(issue(t, a, transport.NodeURI("test", 1))))
	for uri, want := range map[string]transport.Holder{
		transport.ClientURI("test", "joe/1"): {Client: "joe/1"},
		transport.AdminURI("test", "ann"):    {Admin: "ann"},
		transport.NodeURI("test", 2):         {Node: 2},
	} {
		c := dial(t, n.Addr(), transport.ClientConfig{Identity: issue(t, a, uri), Cluster: "test"})
		large := make([]byte, 3<<20)
		large[len(large)-1] = 7
		var resp raftpb.ProposeResponse
		err := c.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1, Command: large}, &resp)
		if err != nil || len(resp.Result) != len(large) || resp.Result[len(large)-1] != 7 {
			t.Fatalf("%s: %v, %d bytes", uri, err, len(resp.Result))
		}
		if got := <-holders; got != want {
			t.Errorf("%s: holder %+v, want %+v", uri, got, want)
		}
	}
	wrong := transport.ClientConfig{Identity: issue(t, a, transport.ClientURI("other", "joe")), Cluster: "other"}
	if _, err := transport.Dial(t.Context(), n.Addr(), wrong); err == nil {
		t.Error("a client of another cluster believed this node")
	}
	wrong.Cluster = "test"
	if _, err := transport.Dial(t.Context(), n.Addr(), wrong); err == nil || !strings.Contains(err.Error(), "no URI") {
		t.Errorf("got %v", err)
	}
}

// Certificates and the root are replaced while calls flow: none fails, and what connects
// afterwards is judged by the new ones.
func TestIdentityIsReplacedUnderLoad(t *testing.T) {
	before, after := authority(t), authority(t)
	both := func(signer *transporttest.Authority, id raftpb.NodeID) *transport.Identity {
		x := issue(t, signer, transport.NodeURI("test", id))
		x.Roots = before.Roots()
		x.Roots.AddCert(after.Certificate())
		return x
	}
	b := listen(t, 2, propose, underTLS(issue(t, before, transport.NodeURI("test", 2))))
	up := make(chan bool, 10)
	a := listen(t, 1, propose, underTLS(issue(t, before, transport.NodeURI("test", 1))), func(cfg *transport.Config) {
		cfg.Peers = map[raftpb.NodeID]string{2: b.Addr()}
		cfg.PeerState = func(_ raftpb.NodeID, connected bool) { up <- connected }
	})
	receive(t, up)
	call := func() error {
		done := make(chan error, 1)
		err := a.Call(2, transport.LaneAppend, raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1}, func(_ codec.Message, err error) { done <- err })
		if err != nil {
			return err
		}
		return <-done
	}
	steps := []func(){
		func() { set(t, a, both(before, 1)); set(t, b, both(before, 2)) },
		func() { set(t, a, both(after, 1)); set(t, b, both(after, 2)) },
		func() {
			set(t, a, issue(t, after, transport.NodeURI("test", 1)))
			set(t, b, issue(t, after, transport.NodeURI("test", 2)))
		},
	}
	for _, step := range steps {
		for range 200 {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}
		step()
		for range 200 {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}
	}
	old := transport.ClientConfig{Identity: issue(t, before, transport.ClientURI("test", "joe")), Cluster: "test"}
	old.Identity.Roots = after.Roots()
	c, err := transport.Dial(t.Context(), b.Addr(), old)
	if err == nil { // TLS 1.3: the server's refusal comes with the first answer
		err = c.Call(t.Context(), raftpb.RaftClientPropose, &raftpb.ProposeRequest{Group: 1}, new(raftpb.ProposeResponse))
		c.Close()
	}
	if err == nil {
		t.Error("a certificate of the root that was forgotten is believed")
	}
	if err := b.SetIdentity(issue(t, after, transport.NodeURI("test", 3))); err == nil {
		t.Error("took the certificate of another node")
	}
	if err := listen(t, 1, propose).SetIdentity(issue(t, after, transport.NodeURI("test", 1))); err == nil {
		t.Error("took an identity without TLS")
	}
}

func set(t *testing.T, n *transport.TCP, id *transport.Identity) {
	t.Helper()
	if err := n.SetIdentity(id); err != nil {
		t.Fatal(err)
	}
}

// A connection that says nothing under TLS ends as one without does.
func TestTLSHandshakeHasALimit(t *testing.T) {
	a := authority(t)
	n := listen(t, 1, propose, underTLS(issue(t, a, transport.NodeURI("test", 1))), func(cfg *transport.Config) {
		cfg.HandshakeTimeout = 20 * time.Millisecond
	})
	conn := rawDial(t, n.Addr())
	conn.wantEOF()
	eventually(t, func() bool { return n.Metrics().Refused[transport.ReasonTimeout] == 1 })
}

// Identities are read from PEM files; what is wrong with one is said before the port opens.
func TestLoadIdentity(t *testing.T) {
	a := authority(t)
	dir := t.TempDir()
	id := issue(t, a, transport.NodeURI("test", 1))
	key, err := x509.MarshalPKCS8PrivateKey(id.Certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert := write("node.pem", "CERTIFICATE", id.Certificate.Certificate[0])
	private := write("node.key", "PRIVATE KEY", key)
	roots := write("roots.pem", "CERTIFICATE", a.Certificate().Raw)
	loaded, err := transport.LoadIdentity(cert, private, roots)
	if err != nil {
		t.Fatal(err)
	}
	listen(t, 1, propose, underTLS(loaded))
	for _, files := range [][3]string{{cert, cert, roots}, {cert, private, private}, {cert, private, "nowhere"}} {
		if _, err := transport.LoadIdentity(files[0], files[1], files[2]); err == nil {
			t.Errorf("%v: taken", files)
		}
	}
	for want, bad := range map[string]*transport.Identity{
		"does not have the URI raftwire:test/node/2": loaded,
		"no roots":       {Certificate: loaded.Certificate},
		"no certificate": {Roots: loaded.Roots},
	} {
		cfg := config(2, propose)
		cfg.Identity = bad
		if _, err := transport.Listen(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// A cluster may be called anything; its name stays one part of the URI.
func TestURIs(t *testing.T) {
	if got := transport.NodeURI("a/b c", 7); got != "raftwire:a%2Fb%20c/node/7" {
		t.Error(got)
	}
	a := authority(t)
	n := listen(t, 7, propose, underTLS(issue(t, a, transport.NodeURI("a/b c", 7))), func(cfg *transport.Config) { cfg.Cluster = "a/b c" })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := transport.Dial(ctx, n.Addr(), transport.ClientConfig{Identity: issue(t, a, transport.ClientURI("a/b c", "x")), Cluster: "a/b c"})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
