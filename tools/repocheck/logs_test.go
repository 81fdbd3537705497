package repocheck

import "testing"

func TestLogLines(t *testing.T) {
	const doc = `
| key | what |
|---|---|
| ` + "`node`" + ` | this node |
| ` + "`err`" + ` | an error |

| level | message | keys | what |
|---|---|---|---|
| INFO | ` + "`all is well` | `node`" + ` | |
| WARN | ` + "`not so well` | `node`, `err`" + ` | |
`
	code := func(calls string) string {
		return "package engine\n\nfunc (h *host) f() {\n" + calls + "\n}\n"
	}
	const fine = `h.Logger.Info("all is well", "node", 1)
	log.Warn("not so well", "node", 1, "err", nil)
	h.mutex.Info("not a logger", x)`
	for name, c := range map[string]struct {
		calls string
		want  []string
	}{
		"as listed":         {fine, nil},
		"an unknown key":    {fine + "\nlog.With(\"colour\", 1)", []string{`engine/a.go:7: logs the key "colour", which is not in docs/guides/observing.md`}},
		"a line not listed": {fine + "\nlog.Log(ctx, level, \"new\", \"err\", 1)", []string{`docs/guides/observing.md: does not list "varies new" with the keys err`}},
		"other keys": {fine + "\nlog.Info(\"all is well\", \"err\", 1)", []string{
			`docs/guides/observing.md: lists "INFO all is well" with the keys node; they are node, err`,
		}},
		"a line that is gone": {`log.Warn("not so well", "node", 1, "err", nil)`, []string{`docs/guides/observing.md: lists "INFO all is well", which nobody logs`}},
		"a key that is gone": {"log.Info(\"all is well\", \"node\", 1)\nlog.Warn(\"not so well\", \"node\", 1)", []string{
			`docs/guides/observing.md: lists "WARN not so well" with the keys node, err; they are node`,
			`docs/guides/observing.md: lists the key "err", which nobody logs`,
		}},
		"a made message": {fine + "\nlog.Info(\"all is \"+well)", []string{"engine/a.go:7: logs a message that is no constant: what varies is a key"}},
		"no message":     {fine + "\nlog.Info()", []string{"engine/a.go:7: logs no message"}},
		"capitals": {fine + "\nlog.Info(\"All\")", []string{
			`engine/a.go:7: logs "All": want lower case, without a full stop`,
			`docs/guides/observing.md: does not list "INFO All" with the keys `,
		}},
		"a made key": {fine + "\nlog.With(key, 1)", []string{"engine/a.go:7: logs keys and values that are no pairs of a constant and a value"}},
		"no value":   {fine + "\nlog.With(\"node\")", []string{"engine/a.go:7: logs keys and values that are no pairs of a constant and a value"}},
	} {
		t.Run(name, func(t *testing.T) {
			tree := invent(t, logsDoc, doc, "engine/a.go", code(c.calls), "cmd/a.go", code("log.Info(anything)"))
			expect(t, checkLogs(tree, []string{"engine"}), c.want...)
		})
	}
	expect(t, checkLogs(invent(t), nil), "docs/guides/observing.md: is missing")
}
