package codec

// Codec numbers: those of raft.thrift's enum Codec, and JSON's, which is not offered in a handshake unless a
// program does so itself.
const (
	IDCompact uint8 = 1
	IDBinary  uint8 = 2
	IDMsgpack uint8 = 3
	IDJSON    uint8 = 64
)

// ByName returns a built-in codec: "thrift-compact", "thrift-binary", "msgpack" or "json".
func ByName(name string) (Codec, bool) {
	for _, c := range builtIn() {
		if c.Name() == name {
			return c, true
		}
	}
	return nil, false
}

// ByID returns a built-in codec by its number.
func ByID(id uint8) (Codec, bool) {
	switch id {
	case IDCompact, IDBinary, IDMsgpack:
		return direct(id), true
	case IDJSON:
		return JSON(), true
	}
	return nil, false
}

// Names returns the names of the built-in codecs, the one used by default first.
func Names() []string {
	var names []string
	for _, c := range builtIn() {
		names = append(names, c.Name())
	}
	return names
}

func builtIn() []Codec {
	return []Codec{direct(IDCompact), direct(IDMsgpack), direct(IDBinary), JSON()}
}

// direct is a codec whose functions are generated for each message.
type direct uint8

// Name implements Codec.
func (d direct) Name() string {
	switch uint8(d) {
	case IDCompact:
		return "thrift-compact"
	case IDBinary:
		return "thrift-binary"
	}
	return "msgpack"
}

// ID implements Codec.
func (d direct) ID() uint8 { return uint8(d) }

// Append implements Codec.
func (d direct) Append(b []byte, m Message) ([]byte, error) {
	if v, ok := m.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return b, err
		}
	}
	switch uint8(d) {
	case IDCompact:
		return m.AppendCompact(b), nil
	case IDBinary:
		return m.AppendBinary(b), nil
	}
	return m.AppendMsgpack(b), nil
}

// Decode implements Codec.
func (d direct) Decode(b []byte, m Message, l *Limits) error {
	var n int
	var err error
	switch uint8(d) {
	case IDCompact:
		n, err = m.ParseCompact(b, l)
	case IDBinary:
		n, err = m.ParseBinary(b, l)
	default:
		n, err = m.ParseMsgpack(b, l)
	}
	if err == nil && n != len(b) {
		return &Error{Codec: d.Name(), Kind: Trailing, Offset: n}
	}
	return err
}
