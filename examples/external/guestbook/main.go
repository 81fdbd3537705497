// Command guestbook serves a service of its own IDL over Raftwire's transport, and calls it.
//
// It is a module of its own, outside Raftwire's: all it has of it is a line in go.mod and generated code.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/transport"

	"example.com/guestbook/gen/guestbook"
)

//go:generate go tool raftgen -out gen guestbook.thrift

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "guestbook:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	server, err := serve(&book{})
	if err != nil {
		return err
	}
	defer server.Close()
	for _, name := range []string{"thrift-compact", "thrift-binary"} {
		if err := visit(ctx, server.Addr(), name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// serve listens on a free port of this machine and serves b to anyone, also to stock Thrift clients.
func serve(b guestbook.Guestbook) (*transport.TCP, error) {
	return transport.Listen(transport.Config{
		Cluster: "guestbook", Node: 1, // matter between nodes only
		Listen:        "127.0.0.1:0",
		Handler:       dispatcher{guestbook.NewGuestbookHandler(b)},
		ClientMethods: guestbook.GuestbookMethods,
	})
}

// dispatcher gives the transport's calls to generated code, which knows nothing of a transport.
type dispatcher struct{ handler codec.Handler }

// ServeCall implements transport.Handler. It must not block, so each call gets a goroutine.
func (d dispatcher) ServeCall(c *transport.Call) {
	go func() {
		resp, err := d.handler.Handle(context.Background(), c.Method, c.Request)
		if err != nil {
			c.Fail(err)
			return
		}
		c.Reply(resp)
	}()
}

// visit is the client's half: it signs, reads, and fills the book.
func visit(ctx context.Context, addr, codecName string) error {
	c, _ := codec.ByName(codecName)
	conn, err := transport.Dial(ctx, addr, transport.ClientConfig{Codec: c})
	if err != nil {
		return err
	}
	defer conn.Close()
	client := guestbook.NewGuestbookClient(conn)

	number, err := client.Sign(ctx, &guestbook.Entry{Name: "Ada", Text: "a pleasure", Mood: codec.Some(guestbook.MoodGlad)})
	if err != nil {
		return err
	}
	entries, err := client.Read(ctx, number, 5)
	if err != nil {
		return err
	}
	moods, err := client.Moods(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s: entry %d: %s: %s; glad: %d\n", codecName, number, entries[0].Name, entries[0].Text, moods[guestbook.MoodGlad])

	var full *guestbook.Full
	for !errors.As(err, &full) {
		if _, err = client.Sign(ctx, &guestbook.Entry{Name: "Grace"}); err != nil && !errors.As(err, &full) {
			return err
		}
	}
	fmt.Printf("%s: full after %d pages\n", codecName, full.Pages)

	for _, name := range []string{"Ada", "Grace"} {
		if err := client.Forget(ctx, name); err != nil {
			return err
		}
	}
	return waitEmpty(ctx, client)
}

// waitEmpty waits until what Forget asked for is done: nothing answers a oneway call.
func waitEmpty(ctx context.Context, client *guestbook.GuestbookClient) error {
	for {
		entries, err := client.Read(ctx, 1, 1)
		if err != nil || len(entries) == 0 {
			return err
		}
	}
}
