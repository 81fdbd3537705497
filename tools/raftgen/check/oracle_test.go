package check

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// official runs the official compiler on one program and returns what it says about it in JSON.
type official struct {
	path    string
	out     string
	include []string
}

func newOfficial(t *testing.T, include ...string) *official {
	t.Helper()
	path, err := exec.LookPath("thrift")
	if err != nil {
		t.Skip("no official compiler: apt-get install thrift-compiler, then run this test again")
	}
	return &official{path: path, out: t.TempDir(), include: include}
}

// compile returns the JSON, or the compiler's complaint. A compiler that never ends refuses.
func (o *official) compile(t *testing.T, path string) (jsonText []byte, complaint string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	args := []string{"--gen", "json", "-out", o.out}
	for _, dir := range o.include {
		args = append(args, "-I", dir)
	}
	out, err := exec.CommandContext(ctx, o.path, append(args, path)...).CombinedOutput()
	if err != nil {
		return nil, string(out) + err.Error()
	}
	name := strings.TrimSuffix(filepath.Base(path), ".thrift") + ".json"
	jsonText, err = os.ReadFile(filepath.Join(o.out, name))
	if err != nil {
		t.Fatal(err)
	}
	return jsonText, ""
}

// knowsUUID reports whether the compiler is newer than Debian's 0.17.
func (o *official) knowsUUID(t *testing.T) bool {
	_, complaint := o.compile(t, filepath.Join("testdata", "accepted", "uuid.thrift"))
	return complaint == ""
}

// TestOracleRefuses compares with the official compiler what is refused: it refuses each of our scripts too, except the
// ones marked stricter, which it accepts. A script marked newer needs a compiler that knows uuid; one marked endless
// makes the compiler run for ever.
func TestOracleRefuses(t *testing.T) {
	o := newOfficial(t)
	newer := o.knowsUUID(t)
	datadriven.Walk(t, "testdata/refused", func(t *testing.T, path string) {
		runScript(t, path, func(d *datadriven.TestData, all files) {
			if d.HasArg("endless") || d.HasArg("newer") && !newer {
				return
			}
			dir := t.TempDir()
			for name, text := range all {
				name = filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, complaint := o.compile(t, filepath.Join(dir, "t.thrift"))
			if (complaint == "") != d.HasArg("stricter") {
				t.Errorf("%s: the official compiler says %q", d.Pos, complaint)
			}
		})
	})
}

// TestOracleReserved asks the official compiler about every reserved word and some that are not.
func TestOracleReserved(t *testing.T) {
	o := newOfficial(t)
	if o.knowsUUID(t) {
		t.Log("a compiler that knows uuid does not refuse these words")
		return
	}
	path := filepath.Join(t.TempDir(), "t.thrift")
	for _, word := range strings.Fields(reservedWords + " From Next value result type len func chan error string_ id") {
		if err := os.WriteFile(path, []byte("const i32 "+word+" = 1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, complaint := o.compile(t, path); (complaint != "") != isReserved(word) {
			t.Errorf("%s: the official compiler says %q", word, complaint)
		}
	}
}

// TestOracleAgrees compares, for every program that both accept, what they understood.
func TestOracleAgrees(t *testing.T) {
	root := apacheDir(t)
	o := newOfficial(t, apacheIncludes(root)...)
	paths := apacheFiles(t, root)
	for _, pattern := range []string{"testdata/accepted/*.thrift", "../../../idl/*.thrift", "../../../codec/codectest/idl/*.thrift"} {
		ours, err := filepath.Glob(pattern)
		if err != nil || len(ours) == 0 {
			t.Fatalf("%s: %v, %v", pattern, ours, err)
		}
		paths = append(paths, ours...)
	}
	newer, compared := o.knowsUUID(t), 0
	for _, path := range paths {
		text, complaint := o.compile(t, path)
		set, err := Config{IncludeDirs: apacheIncludes(root), ReadFile: os.ReadFile, AllowReserved: true}.Load([]string{path})
		if complaint != "" || err != nil {
			continue // what is refused is the matter of other tests
		}
		var want any
		if err := json.Unmarshal(text, &want); err != nil {
			t.Logf("%s: the official JSON is none: %v", path, err)
			continue
		}
		compared++
		compareJSON(t, path, want, viaJSON(t, projection{set.Roots[0], !newer}.program()))
	}
	if compared < 150 {
		t.Errorf("compared %d programs, want at least 150", compared)
	}
}

func viaJSON(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back any
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// sameDoc compares two comments but for blank lines around them. The official compiler keeps the first star of a final
// **/ and takes that star for the left margin.
func sameDoc(want, got string) bool {
	want = strings.TrimSpace(want)
	if text := strings.TrimRight(want, "*"); text != want {
		return slices.Equal(strings.Fields(text), strings.Fields(got))
	}
	return want == strings.TrimSpace(got)
}

// deviations are the places where we mean something else than the official compiler, and why.
var deviations = map[string]string{
	"testdata/accepted/docs.thrift.structs[0].doc": "a comment that no member took stays inside the braces",
}

func compareJSON(t *testing.T, where string, want, got any) {
	t.Helper()
	if deviations[where] != "" || isEmpty(want) && isEmpty(got) {
		return
	}
	switch want := want.(type) {
	case map[string]any:
		gotMap, _ := got.(map[string]any)
		for key := range want {
			compareJSON(t, where+"."+key, want[key], gotMap[key])
		}
		for key := range gotMap {
			if _, ok := want[key]; !ok {
				compareJSON(t, where+"."+key, nil, gotMap[key])
			}
		}
		return
	case []any:
		gotList, _ := got.([]any)
		want = withoutRepeats(want, len(gotList))
		if len(want) != len(gotList) {
			break
		}
		for i := range want {
			compareJSON(t, fmt.Sprintf("%s[%d]", where, i), want[i], gotList[i])
		}
		return
	case float64:
		number, ok := got.(float64)
		if ok && math.Abs(number-want) <= 1e-14*math.Abs(want) { // it writes 15 digits
			return
		}
	case string:
		text, ok := got.(string)
		if ok && text == want || strings.HasSuffix(where, ".doc") && sameDoc(want, text) {
			return
		}
	case bool:
		if got == want {
			return
		}
	}
	t.Errorf("%s: got %v, the official compiler has %v", where, got, want)
}

// isEmpty reports whether v is a list or map without members: the official compiler takes [] and {} for one another.
func isEmpty(v any) bool {
	value := reflect.ValueOf(v)
	return (value.Kind() == reflect.Slice || value.Kind() == reflect.Map) && value.Len() == 0
}

// withoutRepeats drops what comes again in list, if that makes it n long: in a set it is there once.
func withoutRepeats(list []any, n int) []any {
	var once []any
	for _, item := range list {
		if !slices.ContainsFunc(once, func(other any) bool { return reflect.DeepEqual(other, item) }) {
			once = append(once, item)
		}
	}
	if len(once) == n {
		return once
	}
	return list
}
