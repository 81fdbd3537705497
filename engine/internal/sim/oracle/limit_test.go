package oracle

import (
	"errors"
	"strings"
	"testing"
)

func TestFilesHaveALimit(t *testing.T) {
	line := `{"process":1,"op":"get","key":"x","start":1,"end":2,"status":"ok"}` + "\n"
	if _, err := readHistory(strings.NewReader(strings.Repeat(line, 3)), 3); err != nil {
		t.Error(err)
	}
	var at *LineError
	if _, err := readHistory(strings.NewReader(strings.Repeat(line, 4)), 3); !errors.As(err, &at) || at.Line != 4 || !errors.Is(err, ErrTooLarge) {
		t.Errorf("a fourth operation of three: %v", err)
	}
}
