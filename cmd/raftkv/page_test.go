package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// withPages is a cluster of three whose nodes have admin pages, and where these are. The first is the leader's.
func withPages(t *testing.T) []string {
	t.Helper()
	var pages []string
	nodes := startNodes(t, 3, func(int) []string {
		pages = append(pages, freeAddress(t))
		return []string{"--admin", pages[len(pages)-1]}
	})
	for i := range 20 {
		if out := runIn(t, t.TempDir(), "put", fmt.Sprint("key ", i), "value", "--endpoints", endpoints(nodes), "--timeout", "30s"); out.status != 0 {
			t.Fatalf("put: %+v", out)
		}
	}
	for i := range pages {
		var s struct{ Node, Leader int }
		figuresOf(t, pages[i], &s)
		if s.Node == s.Leader {
			pages[0], pages[i] = pages[i], pages[0]
			break
		}
	}
	return pages
}

// figuresOf reads what a page shows.
func figuresOf(t *testing.T, page string, into any) {
	t.Helper()
	resp, err := http.Get("http://" + page + "/api/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %v", resp.StatusCode, err)
	}
}

// What the page is made of: all members with their roles, the leader's view of the others, histograms, and the sentence.
func TestFiguresOfThePage(t *testing.T) {
	t.Parallel()
	pages := withPages(t)
	var s struct {
		Why, Durability     string
		Members             []struct{ Role, Health string }
		Progress            []struct{ State string }
		Sync, CommitLatency struct{ Counts []int }
	}
	figuresOf(t, pages[0], &s)
	roles := map[string]int{}
	for _, m := range s.Members {
		roles[m.Role]++
	}
	count := func(list []int) (n int) {
		for _, c := range list {
			n += c
		}
		return n
	}
	if roles["leader"] != 1 || roles["follower"] != 2 || len(s.Progress) != 2 || !strings.Contains(s.Why, "leads") || s.Durability == "" {
		t.Errorf("%+v", s)
	}
	if count(s.Sync.Counts) == 0 || count(s.CommitLatency.Counts) == 0 {
		t.Errorf("nothing was measured: %+v", s)
	}
}

// The page in a real browser. It needs Chromium; RAFTKV_SCREENSHOT=FILE keeps what it looked like.
func TestThePageInABrowser(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	pages := withPages(t)
	browse := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(chromium, append([]string{
			"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
			"--window-size=1120,1020", "--virtual-time-budget=4000",
		}, append(args, "http://"+pages[0]+"/")...)...)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	dom := string(browse("--dump-dom"))
	for _, want := range []string{
		"leads, and all", `class="leader">leader<`, `class="follower">follower<`, "replicate", "durability ", "<circle", "<rect", "99 % within",
	} {
		if !strings.Contains(dom, want) {
			t.Errorf("%q is not on the page:\n%s", want, dom)
		}
	}
	picture := os.Getenv("RAFTKV_SCREENSHOT")
	if picture == "" {
		picture = filepath.Join(t.TempDir(), "page.png")
	}
	browse("--screenshot=" + picture)
	if info, err := os.Stat(picture); err != nil || info.Size() < 10_000 {
		t.Errorf("the screenshot is %v, %v", info, err)
	}
}
