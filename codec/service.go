package codec

import (
	"errors"
	"fmt"
)

// UnknownMethodError says that a handler does not serve a method.
type UnknownMethodError struct{ Service, Method string }

// Error implements the error interface.
func (e *UnknownMethodError) Error() string {
	return fmt.Sprintf("codec: handle: unknown method %s.%s", e.Service, e.Method)
}

// UnknownMethod returns the error for a method that a handler does not serve.
func UnknownMethod(m *Method) error { return &UnknownMethodError{m.Service, m.Name} }

// ErrNoResponse is what a handler returns for a server method that returned neither a response nor an error.
var ErrNoResponse = errors.New("codec: handle: the server returned neither a response nor an error")

// Reply turns what a server's method returned into what a Handler returns.
func Reply[T any, P interface {
	*T
	Message
}](resp P, err error) (Message, error) {
	switch {
	case err != nil:
		return nil, err
	case resp == nil:
		return nil, ErrNoResponse
	}
	return resp, nil
}
