package repocheck

import "testing"

func TestSymbols(t *testing.T) {
	tree := invent(t,
		"wire/a.go", "package wire\n\nconst most = 1\n\ntype Conn[T any] struct{ reader; size int }\n\ntype reader struct{}\n\n"+
			"type Peer interface{ Call() }\n\nfunc (c *Conn[T]) Close() {}\n\nfunc Dial() {}\n",
		"A.md", "`wire.Conn`, `wire.Conn.Close`, `wire.Conn.size`, `wire.Conn.reader`, `wire.Peer.Call`, `wire.Dial` and `wire.most`\n"+
			"`wire.Gone`, `wire.Conn.Open` and `wire.Dial.Close`\n"+
			"`wire.go`, `other.Gone`, wire.Gone\n",
	)
	expect(t, checkSymbols(tree, []string{"A.md"}),
		"A.md:2: wire has no Gone", "A.md:2: wire has no Conn.Open", "A.md:2: wire has no Dial.Close")
}
