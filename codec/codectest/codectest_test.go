package codectest_test

import (
	"testing"

	"github.com/seed-814fcd60/raftwire/codec"
	"github.com/seed-814fcd60/raftwire/codec/codectest"
)

func TestBuiltIn(t *testing.T) {
	for _, name := range codec.Names() {
		t.Run(name, func(t *testing.T) {
			c, ok := codec.ByName(name)
			if !ok {
				t.Fatalf("ByName(%q) finds nothing", name)
			}
			codectest.Run(t, c)
		})
	}
}
