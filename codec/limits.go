package codec

// Limits bounds what a decoder does with bytes it cannot trust. The zero value of
// a field means the default.
type Limits struct {
	// MaxBytes bounds one message, in bytes. Default 16,384,000 (raft.thrift's MAX_FRAME_BYTES).
	MaxBytes int
	// MaxDepth bounds nesting of structs and containers, also in skipped fields. Default 64.
	MaxDepth int
	// MaxAlloc bounds the memory that decoding one message may allocate, in bytes.
	// Default: 8 times the size of the input, at least 4 KiB.
	MaxAlloc int
}

// What a Limits of zero means.
const (
	DefaultMaxBytes  = 16_384_000
	DefaultMaxDepth  = 64
	defaultAllocRate = 8
	defaultAllocMin  = 4 << 10
)

// DefaultLimits returns the limits that a nil *Limits stands for.
func DefaultLimits() Limits {
	return Limits{MaxBytes: DefaultMaxBytes, MaxDepth: DefaultMaxDepth}
}

// Depth returns how deep a message may nest.
func (l *Limits) Depth() int {
	if l == nil || l.MaxDepth <= 0 {
		return DefaultMaxDepth
	}
	return l.MaxDepth
}

// Bytes returns how long a message may be.
func (l *Limits) Bytes() int {
	if l == nil || l.MaxBytes <= 0 {
		return DefaultMaxBytes
	}
	return l.MaxBytes
}

// Alloc returns how much memory decoding n bytes may allocate.
func (l *Limits) Alloc(n int) int {
	if l == nil || l.MaxAlloc <= 0 {
		return max(n*defaultAllocRate, defaultAllocMin)
	}
	return l.MaxAlloc
}
