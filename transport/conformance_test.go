package transport_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/seed-814fcd60/raftwire/transport"
	"github.com/seed-814fcd60/raftwire/transport/transporttest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type tcpWorld struct{}

func (tcpWorld) NewAddr() string { return "127.0.0.1:0" }
func (tcpWorld) Listen(cfg transport.Config) (transport.Network, error) {
	n, err := transport.Listen(cfg)
	if err != nil {
		return nil, err
	}
	return n, nil
}

func TestTCPConforms(t *testing.T) {
	transporttest.Run(t, func(*testing.T) transporttest.World { return tcpWorld{} })
}

// memoryWorld gives out names; one world per subtest.
type memoryWorld struct {
	*transport.Memory
	names *atomic.Int64
}

func (w memoryWorld) NewAddr() string { return fmt.Sprint("host-", w.names.Add(1)) }

func TestMemoryConforms(t *testing.T) {
	transporttest.Run(t, func(*testing.T) transporttest.World {
		return memoryWorld{transport.NewMemory(1), new(atomic.Int64)}
	})
}
