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

// HeatMap is a picture of shares, rows × columns, on a logarithmic scale, with
// marks on some of them.
type HeatMap struct {
	Title   string
	Rows    string      // what a row is
	Columns string      // what a column is
	Scale   string      // what the colours mean
	Share   [][]float64 // [rows][columns], each row adding up to 1
	Marked  [][]bool    // [rows][columns]
	Mark    string      // what a mark means
}

// decades is how far below 1 the colours reach.
const decades = 4

// Write draws the picture in the given format, "png" or "svg".
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

// draw lays the map out with its scale at the right.
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

// colorMap runs from dark to bright, so that it also reads in grey.
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

// sans sets the text of p in a face without serifs.
func sans(p *plot.Plot) {
	for _, f := range []*font.Font{
		&p.Title.TextStyle.Font,
		&p.X.Label.TextStyle.Font, &p.X.Tick.Label.Font,
		&p.Y.Label.TextStyle.Font, &p.Y.Tick.Label.Font,
	} {
		f.Variant = "Sans"
	}
}

// integers marks every row or column, or every second, fifth … where they are
// many.
type integers struct{}

// Ticks implements plot.Ticker.
func (integers) Ticks(low, high float64) []plot.Tick {
	step := 1
	for _, s := range []int{1, 2, 4, 8, 16, 32} {
		if step = s; (high-low)/float64(s) <= 36 {
			break
		}
	}
	var ticks []plot.Tick
	for v := 0; float64(v) <= high; v += step {
		ticks = append(ticks, plot.Tick{Value: float64(v), Label: strconv.Itoa(v)})
	}
	return ticks
}

// percents marks the decades of the scale.
type percents struct{}

// Ticks implements plot.Ticker.
func (percents) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for v := low; v <= high; v++ {
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(100*math.Pow(10, v), 'g', -1, 64) + " %"})
	}
	return ticks
}
