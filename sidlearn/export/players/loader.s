; What a listing POKEs into the tape buffer: turns the strings in the DATA lines behind its own into bytes and calls them.
; A string is base64: four characters A-Z (shifted), a-z, 0-9, + and / for three bytes, across the ends of lines;
; an asterisk ends it. Set from outside: target (where the bytes go, and where the player begins).

text  = $FB                     ; the character looked at
into  = $FD
bits  = $02                     ; bits that are not a whole byte yet, below a 1

        LDA $41                 ; where READ has stopped: at the end of a line
        STA text
        LDA $42
        STA text+1
        LDA #<target
        STA into
        LDA #>target
        STA into+1
        LDY #1
        STY bits
        DEY
line:   LDA text                ; past link and number of the next line
        CLC
        ADC #4
        STA text
        BCC find
        INC text+1
find:   JSR get
        CMP #34
        BNE find
next:   JSR get
        BEQ line
        CMP #$C1
        BCS upper
        CMP #$41
        BCS lower
        CMP #$30
        BCS digit
        CMP #$2A
        BEQ over
        AND #4                  ; + or /
        CMP #4
        LDA #62
        ADC #0
        BNE got
digit:  ADC #3                  ; the carry is set
        BNE got
lower:  SBC #$27
        BNE got
upper:  SBC #$C1
got:    LDX #6
        ASL
        ASL
bit:    ASL
        ROL bits
        BCC more
        PHA
        LDA bits
        STA (into),Y
        INC into
        BNE near
        INC into+1
near:   LDA #1
        STA bits
        PLA
more:   DEX
        BNE bit
        BEQ next

over:   SEI
        LDA #$35
        STA $01
        JSR target
        LDA #$37
        STA $01
        CLI
        RTS

get:    INC text
        BNE same
        INC text+1
same:   LDA (text),Y
        RTS
