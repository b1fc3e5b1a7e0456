; Plays register writes at their cycles, with the screen off and all interrupts too, so that nothing stops the CPU.
; Set from outside: values, targets, fines, coarses (tables, each a page), data (a page), literals, specials.
;
; A byte of the data is
;   0 to literals-1         a write with the value, register and time of its row in the tables
;   literals to specials-1  a write with the register and time of its row; the value follows
;   specials                the data go on in the next page
;   specials+1              a write of which all follows: fine time, register, value, coarse time
;   specials+2              nothing happens for so many turns as follows
;   specials+3              the end
;
; Cycles from write to write, with a coarse time c and a fine time 7-f (f from 2 to 6): 52+5c+f, with the value behind
; 63+5c+f, with all behind 78+5c+f; the next page takes 30, a pause 40 and 1009 a turn.

p     = $FB                     ; where the page of data is
turns = $FD

start:  SEI
        CLD
        LDA #$35                ; all is RAM but the chips
        STA $01
        LDA #$7F
        STA $DC0D
        STA $DD0D
        LDA $DC0D
        LDA $DD0D
        LDA #<back              ; RESTORE
        STA $FFFA
        LDA #>back
        STA $FFFB
        LDA #0
        STA $D011               ; no bad lines
        STA $D015
        STA $D01A
        STA p
        LDX #24
silent: STA $D400,X
        DEX
        BPL silent
down:   LDA $D011               ; the picture that has begun may still have bad lines
        BPL down
top:    LDA $D011
        BMI top
        LDA #>data
        STA p+1
        LDY #0

next:   LAX (p),Y
        INY
        CPX #literals
        BCS special
        LDA values,X
        STA value+1
ready:  LDA targets,X
        STA store+1
        LDA fines,X
        STA fine+1
        LDA coarses,X
        TAX
hold:   DEX
        BNE hold
fine:   BEQ sled                ; always, to where so many cycles are left
sled:   .byte $C9, $C9, $C9, $C9, $C5, $EA
value:  LDA #0
store:  STA $D400
        JMP next

special: CPX #specials
        BCS rare
        LDA (p),Y
        INY
        STA value+1
        JMP ready

rare:   BEQ page
        CPX #specials+1
        BEQ escape
        CPX #specials+2
        BEQ pause
over:   JMP over

page:   INC p+1
        LDY #0
        JMP next

escape: LDA (p),Y
        INY
        STA fine+1
        LDA (p),Y
        INY
        STA store+1
        LDA (p),Y
        INY
        STA value+1
        LAX (p),Y
        INY
        JMP hold

pause:  LDA (p),Y
        INY
        STA turns
again:  LDX #200
wait:   DEX
        BNE wait
        DEC turns
        BNE again
        JMP next

back:   RTI
