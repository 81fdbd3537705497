package page

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Size of a chart in its own units; the page scales it.
const (
	width, height            = 520.0, 250.0
	left, right, top, bottom = 58.0, 12.0, 10.0, 38.0
	tickCount                = 5
)

// curve is one line of a chart.
type curve struct {
	name   string
	points [][2]float64
}

// axis maps values to positions.
type axis struct {
	name   string
	lo, hi float64 // of the mapped values
	of     func(float64) float64
	ticks  []float64 // values
	label  func(float64) string
}

func identity(v float64) float64 { return v }

// linear is an axis from 0 on.
func linear(name string, hi float64) axis {
	a := axis{name: name, hi: hi, of: identity, label: short}
	step := niceStep(hi / tickCount)
	for v := 0.0; v <= hi*1.0001 && len(a.ticks) < 2*tickCount; v += step {
		a.ticks = append(a.ticks, v)
	}
	if n := len(a.ticks); n > 0 && a.ticks[n-1] < hi {
		a.ticks = append(a.ticks, a.ticks[n-1]+step)
	}
	a.hi = max(a.ticks[len(a.ticks)-1], math.SmallestNonzeroFloat64)
	return a
}

// logarithmic is an axis over whole powers of ten.
func logarithmic(name string, lo, hi float64, label func(float64) string) axis {
	a := axis{name: name, of: math.Log10, label: label}
	a.lo, a.hi = math.Floor(math.Log10(max(lo, 1e-9))), math.Ceil(math.Log10(max(hi, 1e-9)))
	if a.hi <= a.lo {
		a.hi = a.lo + 1
	}
	for e := a.lo; e <= a.hi; e++ {
		a.ticks = append(a.ticks, math.Pow(10, e))
	}
	return a
}

// nines is the axis of percentiles: each nine takes as much room as the one before.
func nines() axis {
	of := func(p float64) float64 { return -math.Log10(max(1-p/100, 1e-5)) }
	return axis{
		name: "percentile", hi: of(99.999), of: of, ticks: []float64{0, 50, 90, 99, 99.9, 99.99, 100},
		label: func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) },
	}
}

func niceStep(v float64) float64 {
	if v <= 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

// short formats a number for an axis: 250k.
func short(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= unit.size {
			return strconv.FormatFloat(v/unit.size, 'g', 3, 64) + unit.name
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// duration formats microseconds.
func duration(us float64) string {
	switch {
	case us >= 1e6:
		return strconv.FormatFloat(us/1e6, 'g', 3, 64) + " s"
	case us >= 1e3:
		return strconv.FormatFloat(us/1e3, 'g', 3, 64) + " ms"
	}
	return strconv.FormatFloat(us, 'g', 3, 64) + " µs"
}

func (a *axis) position(v, from, to float64) float64 {
	share := (a.of(v) - a.lo) / (a.hi - a.lo)
	return from + min(max(share, 0), 1)*(to-from)
}

// drawing collects the elements of a chart.
type drawing struct{ strings.Builder }

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

func (d *drawing) frame(x, y *axis) {
	for _, v := range y.ticks {
		at := y.position(v, height-bottom, top)
		d.add(`<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, left, at, width-right, at)
		d.add(`<text x="%.1f" y="%.1f" text-anchor="end">%s</text>`, left-6, at+4, y.label(v))
	}
	for _, v := range x.ticks {
		at := x.position(v, left, width-right)
		d.add(`<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, at, height-bottom+16, x.label(v))
	}
	d.add(`<text class="name" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, width-right, height-4, template.HTMLEscapeString(x.name))
}

func (d *drawing) svg(name string) template.HTML {
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">%s</svg>`, //nolint:gosec // every text in it is escaped
		width, height, template.HTMLEscapeString(name), d.String()))
}

// lines draws curves; marks are vertical lines at values of x.
func lines(name string, x, y axis, curves []curve, marks []float64) template.HTML {
	d := new(drawing)
	d.frame(&x, &y)
	for _, m := range marks {
		at := x.position(m, left, width-right)
		d.add(`<line class="mark" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, at, top, at, height-bottom)
	}
	for i, c := range curves {
		var path strings.Builder
		for _, p := range c.points {
			fmt.Fprintf(&path, "%.1f,%.1f ", x.position(p[0], left, width-right), y.position(p[1], height-bottom, top))
		}
		d.add(`<polyline class="c%d" points="%s"><title>%s</title></polyline>`, i%colours, strings.TrimSpace(path.String()), template.HTMLEscapeString(c.name))
	}
	return d.svg(name)
}

// bar is one bar of a chart.
type bar struct {
	label, detail string
	value         float64
	colour        int
}

// bars draws bars; when there are many, only some have their label below.
func bars(name string, y axis, list []bar) template.HTML {
	d := new(drawing)
	d.frame(&axis{}, &y)
	step := (width - left - right) / float64(max(len(list), 1))
	every := max(1, int(math.Ceil(46/step)))
	for i, b := range list {
		at, up := left+float64(i)*step, y.position(b.value, height-bottom, top)
		d.add(`<rect class="c%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s: %s</title></rect>`,
			b.colour%colours, at+1, up, max(step-2, 1), height-bottom-up, template.HTMLEscapeString(b.label), template.HTMLEscapeString(b.detail))
		if i%every == 0 {
			d.add(`<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, at+step/2, height-bottom+16, template.HTMLEscapeString(b.label))
		}
	}
	return d.svg(name)
}
