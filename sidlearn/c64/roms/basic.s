; What programs in machine code call of a BASIC ROM, at the addresses that the C64's memory map gives them: texts and
; numbers on the screen. Not Commodore's code. BASIC programs do not run in here but in sidlearn.basic.
; Source of addresses and effects: Sheldon Leemon, "Mapping the Commodore 64" (1984).

* = $AB1E
strout: STA $22                 ; prints the text at A, Y up to a zero
        STY $23
        LDY #0
each:   LDA ($22),Y
        BEQ end
        JSR $FFD2
        INC $22
        BNE each
        INC $23
        BNE each
end:    RTS

* = $BDCD
linprt: STA $63                 ; prints the number A * 256 + X
        STX $64
        LDY #0                  ; which power of ten
        STY $22                 ; digits that have been printed
power:  LDX #$30
less:   SEC
        LDA $64
        SBC low,Y
        PHA
        LDA $63
        SBC high,Y
        BCC digit
        STA $63
        PLA
        STA $64
        INX
        BNE less
digit:  PLA
        CPX #$30
        BNE print
        CPY #4
        BEQ print
        LDA $22
        BEQ skip                ; zeros in front
print:  TXA
        JSR $FFD2
        INC $22
skip:   INY
        CPY #5
        BNE power
        RTS
high:   .byte 39, 3, 0, 0, 0
low:    .byte 16, 232, 100, 10, 1
