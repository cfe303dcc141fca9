package main

import "testing"

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		name    string
		figures []float64
		want    spread
	}{
		{"one", []float64{7}, spread{7, 7, 7}},
		{"odd", []float64{9, 1, 2}, spread{2, 1, 9}},
		{"even", []float64{4, 1, 2, 9}, spread{3, 1, 9}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := spreadOf(test.figures); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
