; What the loader of a listing calls: plays all ticks, then goes back to BASIC with page 0 and the timer as they were.
; Interrupts are off and all memory but the chips is RAM. Set from outside: period (cycles between ticks, less one),
; count_low, count_mid, count_high (ticks, one more in each byte, as the loop counts them down), align (1 to 255: turns of
; five cycles before the first tick).

PAGE0 = $20
KEPT = 62                       ; bytes of page 0 that the player uses
kept = $0200                    ; BASIC's input buffer: free while a program runs

start:  LDX #KEPT-1
keep:   LDA PAGE0,X
        STA kept,X
        DEX
        BPL keep
        LDA #$7F
        STA $DC0D
        LDA $DC0D
        JSR reset
        LDX #align
phase:  DEX
        BNE phase
        LDA #<period
        STA $DC04
        LDA #>period
        STA $DC05
        LDA #$11
        STA $DC0E
tick:   JSR play
again:  LDX $DC05               ; most of the time that is left passes without a look at the timer
        BEQ late
        DEX
        BEQ late
pass:   LDY #45                 ; 231 cycles, with the VIC's at most 251
hold:   DEY
        BNE hold
        DEX
        BNE pass
        BEQ again
late:   LDA $DC0D
        AND #1
        BEQ late
        DEC left
        BNE tick
        DEC left+1
        BNE tick
        DEC left+2
        BNE tick
        LDA #$25                ; the KERNAL's 60 times a second on PAL: $4025, on NTSC: $4295
        LDY #$40
        LDX $02A6
        BNE pal
        LDA #$95
        LDY #$42
pal:    STA $DC04
        STY $DC05
        LDA #$11
        STA $DC0E
        LDA #$81
        STA $DC0D
        LDX #KEPT-1
give:   LDA kept,X
        STA PAGE0,X
        DEX
        BPL give
        RTS

left:   .byte count_low, count_mid, count_high
