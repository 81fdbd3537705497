package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/seed-814fcd60/raftwire/gen/raftpb"
)

// Identity is what one side shows under TLS, and whom it believes. Both sides of a
// connection show a certificate, always: TLS 1.3, no session is resumed.
//
// A certificate says who its holder is by URIs among its subject alternative names, made
// by NodeURI, ClientURI and AdminURI. That somebody's certificate has the right signature
// is not enough: a node is believed to be the node of its URI and no other, in the cluster of its
// URI and no other. Host names play no part.
type Identity struct {
	// Certificate is the own one, with its private key and what is between it and the root.
	Certificate tls.Certificate
	// Roots are those whose signatures count on the other side's certificate.
	Roots *x509.CertPool
}

// LoadIdentity reads an Identity from PEM files: the certificate with its
// intermediates, its private key, and the roots.
func LoadIdentity(certFile, keyFile, rootsFile string) (*Identity, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("transport: identity: %s, %s: %w", certFile, keyFile, err)
	}
	pem, err := os.ReadFile(rootsFile)
	if err != nil {
		return nil, fmt.Errorf("transport: identity: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("transport: identity: %s holds no certificate", rootsFile)
	}
	return &Identity{cert, roots}, nil
}

// Holder is what the certificate at the other end of a connection says of its holder, for
// one cluster. The zero Holder is nobody in it.
type Holder struct {
	Node   raftpb.NodeID // the member that it is; 0: none
	Client string        // the name under which it may call the client services; "": none
	Admin  string        // the name under which it may administrate; "": none
}

const uriScheme = "raftwire"

// NodeURI is the URI of a certificate of the node id: it may speak to members as this
// node, and call what a client may.
func NodeURI(cluster string, id raftpb.NodeID) string {
	return uri(cluster, "node", strconv.FormatInt(int64(id), 10))
}

// ClientURI is the URI of a certificate of a client.
func ClientURI(cluster, name string) string { return uri(cluster, "client", name) }

// AdminURI is the URI of a certificate of an administrator, who may call what a client may too.
func AdminURI(cluster, name string) string { return uri(cluster, "admin", name) }

func uri(cluster, role, name string) string {
	return uriScheme + ":" + url.PathEscape(cluster) + "/" + role + "/" + url.PathEscape(name)
}

// holderOf reads the URIs of a certificate. Those of other clusters and other schemes say
// nothing here; of two nodes in one certificate neither is believed.
func holderOf(cluster string, cert *x509.Certificate) Holder {
	var h Holder
	for _, u := range cert.URIs {
		of, rest, ok := strings.Cut(u.Opaque, "/")
		role, escaped, ok2 := strings.Cut(rest, "/")
		name, err := url.PathUnescape(escaped)
		of, err2 := url.PathUnescape(of)
		if u.Scheme != uriScheme || !ok || !ok2 || err != nil || err2 != nil || of != cluster || name == "" {
			continue
		}
		switch role {
		case "node":
			id, err := strconv.ParseInt(name, 10, 64)
			if err != nil || id <= 0 || (h.Node != 0 && h.Node != raftpb.NodeID(id)) {
				return Holder{}
			}
			h.Node = raftpb.NodeID(id)
		case "client":
			h.Client = name
		case "admin":
			h.Admin = name
		}
	}
	return h
}

// check reports what is wrong with an identity that node of cluster wants to show; node 0 is
// any client.
func (id *Identity) check(cluster string, node raftpb.NodeID) error {
	if id.Roots == nil {
		return errors.New("no roots: nobody could be believed")
	}
	if len(id.Certificate.Certificate) == 0 || id.Certificate.PrivateKey == nil {
		return errors.New("no certificate, or no private key")
	}
	cert, err := x509.ParseCertificate(id.Certificate.Certificate[0])
	if err != nil {
		return err
	}
	h := holderOf(cluster, cert)
	if node != 0 && h.Node != node {
		return fmt.Errorf("the certificate does not have the URI %s", NodeURI(cluster, node))
	}
	if h == (Holder{}) {
		return fmt.Errorf("the certificate has no URI that begins with %s", uri(cluster, "", ""))
	}
	return nil
}

// accepting is how a connection that the other side opened is made secure.
func (id *Identity) accepting() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{id.Certificate},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              id.Roots,
		SessionTicketsDisabled: true, // a resumed session would be judged by yesterday's roots
	}
}

// dialing is how a connection that this side opens is made secure.
func (id *Identity) dialing() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{id.Certificate},
		InsecureSkipVerify: true, //nolint:gosec // only the host name goes unchecked: VerifyConnection does the rest
		VerifyConnection:   id.verify,
	}
}

// verify is the check of a server's certificate without its host name.
func (id *Identity) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: id.Roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	return nil
}

// secure wraps a connection in TLS when this network has an identity. Nothing is sent before
// the first use or identify.
func (n *network) secure(nc net.Conn, wrap func(net.Conn, *tls.Config) *tls.Conn, config func(*Identity) *tls.Config) net.Conn {
	id := n.identity.Load()
	if id == nil {
		return nc
	}
	inner := &corked{Conn: nc}
	return &secured{Conn: wrap(inner, config(id)), inner: inner}
}

// identify shakes hands and returns who is at the other end; without TLS it does nothing.
func (n *network) identify(ctx context.Context, nc net.Conn) (Holder, error) {
	s, ok := nc.(*secured)
	if !ok {
		return Holder{}, nil
	}
	if err := s.HandshakeContext(ctx); err != nil {
		return Holder{}, tlsFault(err)
	}
	h := holderOf(n.cfg.Cluster, s.ConnectionState().PeerCertificates[0])
	if h == (Holder{}) {
		return h, refuse(ReasonWrongCertificate, "the certificate names nobody of cluster %q", n.cfg.Cluster)
	}
	return h, nil
}

// dialSecure connects to any node of the cluster.
func (n *network) dialSecure(ctx context.Context, dial func(context.Context, string) (net.Conn, error), addr string) (net.Conn, error) {
	nc, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	nc = n.secure(nc, tls.Client, (*Identity).dialing)
	holder, err := n.identify(ctx, nc)
	if err == nil && n.cfg.Identity != nil && holder.Node == 0 {
		err = refuse(ReasonWrongCertificate, "the certificate is not that of a node of cluster %q", n.cfg.Cluster)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

// tlsFault names the reason of a handshake that failed.
func tlsFault(err error) error {
	var plain tls.RecordHeaderError
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.As(err, &plain):
		return &ProtocolError{Reason: ReasonPlain, Err: err}
	case errors.As(err, &unverified), strings.Contains(err.Error(), "didn't provide a certificate"):
		return &ProtocolError{Reason: ReasonWrongCertificate, Err: err}
	default:
		return &ProtocolError{Reason: ReasonTLSFailed, Err: err}
	}
}
