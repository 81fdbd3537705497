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
