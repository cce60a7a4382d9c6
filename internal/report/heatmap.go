package report

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/palette/moreland"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// HeatMap is a picture of shares in rows and columns, on a logarithmic scale. Some of the
// shares have marks.
type HeatMap struct {
	Title   string
	Rows    string      // says what a row is
	Columns string      // says what a column is
	Scale   string      // says what the colours mean
	Share   [][]float64 // [rows][columns]; each row adds up to 1
	Marked  [][]bool    // [rows][columns]
	Mark    string      // says what a mark means
}

// decades is how many powers of ten the colours reach below 1.
const decades = 4

// Write draws the picture in the given format, which is "png" or "svg".
func (h *HeatMap) Write(w io.Writer, format string) error {
	rows, cols := len(h.Share), len(h.Share[0])
	width := clamp(vg.Length(cols)*16, 420, 1400) + 150
	height := clamp(vg.Length(rows)*16, 140, 1400) + 110
	var canvas interface {
		vg.CanvasSizer
		io.WriterTo
	}
	switch format {
	case "png":
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(144))}
	case "svg":
		canvas = vgsvg.New(width, height)
	default:
		return fmt.Errorf("no picture format %q: it is png or svg", format)
	}
	h.draw(draw.New(canvas))
	_, err := canvas.WriteTo(w)
	return err
}

func clamp(v, low, high vg.Length) vg.Length { return max(low, min(high, v)) }

// draw draws the map, and its scale to the right of it.
func (h *HeatMap) draw(c draw.Canvas) {
	const scaleWidth, margin = 84, 12
	c.FillPolygon(color.White, []vg.Point{c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}})
	c = draw.Crop(c, margin, -margin, margin, -margin)
	h.plot().Draw(draw.Crop(c, 0, -scaleWidth, 0, 0))
	h.scale().Draw(draw.Crop(c, c.Size().X-scaleWidth+margin, 0, 26, -20))
}

// grid presents the shares to the plotter, the first row on top.
type grid struct{ *HeatMap }

func (g grid) Dims() (c, r int)   { return len(g.Share[0]), len(g.Share) }
func (g grid) X(c int) float64    { return float64(c) }
func (g grid) Y(r int) float64    { return float64(r) }
func (g grid) Z(c, r int) float64 { return max(-decades, math.Log10(max(g.Share[r][c], 1e-300))) }

func (h *HeatMap) palette() palette.Palette { return colorMap().Palette(256) }

// colorMap returns colours that run from dark to bright, so that people can read the picture
// in grey, too.
func colorMap() palette.ColorMap {
	m := moreland.ExtendedBlackBody()
	m.SetMin(-decades)
	m.SetMax(0)
	return m
}

func (h *HeatMap) plot() *plot.Plot {
	p := plot.New()
	sans(p)
	p.Title.Text = h.Title
	p.Title.TextStyle.Font.Size = font.Points(14)
	p.Title.Padding = font.Points(8)
	p.X.Label.Text = h.Columns + " (• " + h.Mark + ")"
	p.Y.Label.Text = h.Rows
	heat := plotter.NewHeatMap(grid{h}, h.palette())
	heat.Min, heat.Max = -decades, 0
	p.Add(heat, h.marks())
	p.X.Min, p.X.Max = -0.5, float64(len(h.Share[0]))-0.5
	p.Y.Min, p.Y.Max = -0.5, float64(len(h.Share))-0.5
	p.Y.Scale = plot.InvertedScale{Normalizer: plot.LinearScale{}}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Padding, axis.LineStyle.Width = 0, 0
		axis.Tick.LineStyle.Width = 0
		axis.Tick.Marker = integers{}
	}
	return p
}

// marks puts a dot into every marked cell.
func (h *HeatMap) marks() plot.Plotter {
	var dots plotter.XYs
	for r, row := range h.Marked {
		for c, marked := range row {
			if marked {
				dots = append(dots, plotter.XY{X: float64(c), Y: float64(r)})
			}
		}
	}
	return &plotter.Scatter{XYs: dots, GlyphStyle: draw.GlyphStyle{
		Color: color.NRGBA{0x30, 0xa0, 0xff, 0xff}, Radius: vg.Points(2.2), Shape: draw.CircleGlyph{},
	}}
}

func (h *HeatMap) scale() *plot.Plot {
	p := plot.New()
	sans(p)
	p.Y.Label.Text = h.Scale
	bar := &plotter.ColorBar{ColorMap: colorMap(), Vertical: true}
	p.Add(bar)
	p.HideX()
	p.X.Padding, p.Y.Padding = 0, 0
	p.Y.Tick.Marker = percents{}
	return p
}

// sans chooses a face without serifs for the text of p.
func sans(p *plot.Plot) {
	for _, f := range []*font.Font{
		&p.Title.TextStyle.Font,
		&p.X.Label.TextStyle.Font, &p.X.Tick.Label.Font,
		&p.Y.Label.TextStyle.Font, &p.Y.Tick.Label.Font,
	} {
		f.Variant = "Sans"
	}
}

// integers puts a number at every row or column. Where there are many, it puts one at every
// second, fourth, eighth and so on.
type integers struct{}

// Ticks implements plot.Ticker.
func (integers) Ticks(low, high float64) []plot.Tick {
	step := 1
	for _, s := range []int{1, 2, 4, 8, 16, 32} {
		step = s
		if (high-low)/float64(s) <= 36 {
			break
		}
	}
	var ticks []plot.Tick
	for v := 0; float64(v) <= high; v += step {
		ticks = append(ticks, plot.Tick{Value: float64(v), Label: strconv.Itoa(v)})
	}
	return ticks
}

// percents puts a percentage at every power of ten of the scale.
type percents struct{}

// Ticks implements plot.Ticker.
func (percents) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for v := low; v <= high; v++ {
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(100*math.Pow(10, v), 'g', -1, 64) + " %"})
	}
	return ticks
}
