// Package page makes an HTML page of results: one file that needs no network and no
// script, light or dark as its reader's system is.
package page

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"

	"github.com/seed-814fcd60/raftwire/cmd/raftbench/internal/result"
)

// colours is how many the page has for curves.
const colours = 6

//go:embed page.html
var text string

// run is a result as the page shows it.
type run struct {
	*result.Result
	Name  string
	Color int
}

// chart is a drawing and what stands above it.
type chart struct {
	Title, Note string
	Drawing     template.HTML
}

// view is what the template gets.
type view struct {
	Runs   []run
	First  run
	Many   bool
	Charts []chart
}

// Write writes the page of one or more results.
func Write(w io.Writer, list []*result.Result) error {
	if len(list) == 0 {
		return errors.New("page: no results")
	}
	t, err := template.New("page").Funcs(template.FuncMap{
		"number": number, "time": duration, "known": known, "join": joinInts,
		"ms":  func(ms float64) string { return duration(1000 * ms) },
		"gib": func(bytes uint64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) },
	}).Parse(text)
	if err != nil {
		return err
	}
	v := view{Many: len(list) > 1}
	for i, r := range list {
		v.Runs = append(v.Runs, run{r, nameOf(r, i), i % colours})
	}
	v.First = v.Runs[0]
	v.Charts = charts(v.Runs)
	return t.Execute(w, v)
}

func nameOf(r *result.Result, i int) string {
	switch {
	case r.Label != "":
		return r.Label
	case r.Scenario != nil:
		return r.Scenario.Name
	}
	return fmt.Sprintf("run %d", i+1)
}

func charts(runs []run) (list []chart) {
	if len(runs) > 1 {
		list = append(list, throughputs(runs))
	}
	list = append(list, percentiles(runs), timeline(runs), slowest(runs))
	note := ""
	if len(runs) > 1 {
		note = "of " + runs[0].Name
	}
	add := func(title string, h *result.Histogram, label func(float64) string) {
		if d, ok := distribution(title, h, label); ok {
			list = append(list, chart{title, note, d})
		}
	}
	add("Duration of a sync of the log", &runs[0].FsyncUs, duration)
	add("Commands applied together", &runs[0].BatchSizes, short)
	for _, r := range runs {
		if r.Scenario != nil && len(r.Scenario.Outages) > 0 {
			list = append(list, outages(r))
		}
	}
	return list
}

func throughputs(runs []run) chart {
	highest, list := 0.0, make([]bar, len(runs))
	for i, r := range runs {
		highest = max(highest, r.OpsPerSecond)
		list[i] = bar{r.Name, number(r.OpsPerSecond) + " ops/s", r.OpsPerSecond, r.Color}
	}
	return chart{"Throughput, ops/s", "of each run", bars("throughput of each run", linear("", highest), list)}
}

func percentiles(runs []run) chart {
	lowest, highest := math.Inf(1), 1.0
	var curves []curve
	for _, r := range runs {
		c := curve{name: r.Name}
		for _, p := range r.Percentiles {
			lowest, highest = min(lowest, p.Us), max(highest, p.Us)
			c.points = append(c.points, [2]float64{p.P, p.Us})
		}
		curves = append(curves, c)
	}
	note := "from when an operation was sent"
	if runs[0].Rate > 0 {
		note = "from when an operation was due, so waiting counts"
	}
	return chart{"Latency", note, lines("latency percentiles", nines(), logarithmic("", min(lowest, highest), highest, duration), curves, nil)}
}

// overTime draws a figure of the intervals of all runs.
func overTime(runs []run, of func(result.Interval) float64) (curves []curve, seconds, highest float64, marks []float64) {
	for _, r := range runs {
		c := curve{name: r.Name}
		for i, one := range r.Intervals {
			at := (float64(i) + 0.5) * r.IntervalSeconds
			seconds, highest = max(seconds, at+0.5*r.IntervalSeconds), max(highest, of(one))
			c.points = append(c.points, [2]float64{at, of(one)})
		}
		curves = append(curves, c)
		if r.Scenario != nil {
			for _, e := range r.Scenario.Events {
				marks = append(marks, e.At)
			}
		}
	}
	return curves, seconds, highest, marks
}

func timeline(runs []run) chart {
	curves, seconds, highest, marks := overTime(runs, func(i result.Interval) float64 { return i.OpsPerSecond })
	return chart{"Throughput over time, ops/s", "", lines("throughput over time", linear("seconds", seconds), linear("", highest), curves, marks)}
}

func slowest(runs []run) chart {
	curves, seconds, highest, marks := overTime(runs, func(i result.Interval) float64 { return i.P99 })
	y := linear("", highest/1000)
	y.label = func(v float64) string { return short(v) + " ms" }
	for i := range curves {
		for j := range curves[i].points {
			curves[i].points[j][1] /= 1000
		}
	}
	return chart{"99th percentile over time", "", lines("99th percentile over time", linear("seconds", seconds), y, curves, marks)}
}

// distribution draws a histogram without the empty buckets at its ends.
func distribution(name string, h *result.Histogram, label func(float64) string) (template.HTML, bool) {
	first, last, total := -1, -1, uint64(0)
	for i, n := range h.Counts {
		total += n
		if n > 0 {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if total == 0 || len(h.UpTo) < len(h.Counts) {
		return "", false
	}
	var list []bar
	highest := 0.0
	for i := first; i <= last; i++ {
		share := 100 * float64(h.Counts[i]) / float64(total)
		highest = max(highest, share)
		list = append(list, bar{"≤ " + label(h.UpTo[i]), fmt.Sprintf("%.2f %%", share), share, 0})
	}
	y := linear("", highest)
	y.label = func(v float64) string { return short(v) + " %" }
	return bars(name, y, list), true
}

func outages(r run) chart {
	highest, list := 0.0, make([]bar, len(r.Scenario.Outages))
	for i, ms := range r.Scenario.Outages {
		highest = max(highest, ms)
		list[i] = bar{strconv.Itoa(i + 1), duration(1000 * ms), ms, r.Color}
	}
	y := linear("", highest)
	y.label = func(v float64) string { return short(v) + " ms" }
	return chart{"Nothing acknowledged, per event", r.Name, bars("outages", y, list)}
}

func number(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func known(v *float64) string {
	if v == nil {
		return "unknown"
	}
	return strconv.FormatFloat(*v, 'f', 2, 64)
}

func joinInts(list []int) (s string) {
	for i, v := range list {
		if i > 0 {
			s += " "
		}
		s += strconv.Itoa(v)
	}
	return s
}
